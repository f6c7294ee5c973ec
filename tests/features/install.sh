#!/usr/bin/env bash
# scripts/install: by rename, names another ctr, removes exactly what it put there.
. "$(dirname "$0")/lib.bash"
[ -x "$here/build/release/bin/ctr" ] || skip "needs a release build"
prefix=$work/prefix
mkdir -p "$prefix/bin" "$work/other"
touch "$prefix/bin/mine"
printf '#!/bin/sh\n' >"$work/other/ctr"
chmod +x "$work/other/ctr"

has "$("$here/scripts/install" "$prefix" --docker)" "installed ctr in $prefix/bin"
has "$("$prefix/bin/ctr" version)" "Version:"
has "$("$prefix/bin/docker" --version)" "ctr version"
before=$(stat -c %i "$prefix/bin/ctr")
has "$(PATH=$work/other:$PATH "$here/scripts/install" "$prefix")" "$work/other/ctr"
[ "$(stat -c %i "$prefix/bin/ctr")" != "$before" ] || fail "the program was overwritten in place"
[ ! -e "$prefix/bin/docker" ] || fail "a link of an earlier install stayed"
# The unit that brings containers back after a boot is one that systemd takes.
"$here/scripts/install" "$prefix" --systemd >/dev/null
if command -v systemd-analyze >/dev/null; then
  systemd-analyze verify --man=no "$prefix/lib/systemd/system/ctr-start-all.service"
else
  echo "not verified: systemd-analyze is missing (package systemd)"
fi
status_is 125 "$here/scripts/install" --nope
# Where user namespaces need an AppArmor profile there is one, as long as ctr is installed.
export CTR_INSTALL_SYSTEM=$work/system
mkdir -p "$work/system/proc/sys/kernel" "$work/system/etc"
echo 1 >"$work/system/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
PATH=${PATH/\/usr\/sbin:/} "$here/scripts/install" "$prefix" >/dev/null
has "$(cat "$work/system/etc/apparmor.d/ctr")" "profile ctr $prefix/{bin/ctr,libexec/ctr/ctr-shim} flags=(unconfined)"
has "$(cat "$work/system/etc/apparmor.d/ctr")" "userns,"
"$here/scripts/install" --uninstall "$prefix" >/dev/null
[ ! -e "$work/system/etc/apparmor.d/ctr" ] || fail "the AppArmor profile stayed"
is "$(find "$prefix" -type f -o -type l)" "$prefix/bin/mine"
status_is 1 "$here/scripts/install" --uninstall "$prefix"
