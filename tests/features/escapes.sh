#!/usr/bin/env bash
# Known ways out of a container, played against `ctr run`, `exec` and `build` as a whole; tests/runtime/escape_test.cpp
# plays them against the runtime alone. Each has to fail, and nothing outside may change.
. "$(dirname "$0")/lib.bash"
need_containers
need_program python3

# Own copies of the programs, for a test that fails would write them.
mkdir "$work/bin"
cp "$(dirname "$CTR")"/ctr "$(dirname "$CTR")"/ctr-shim "$(dirname "$CTR")"/ctr-init "$(dirname "$CTR")"/ctr-runtime "$work/bin/"
[ ! -e "$(dirname "$CTR")/ctr-http.so" ] || cp "$(dirname "$CTR")/ctr-http.so" "$work/bin/"
CTR=$work/bin/ctr
busybox_image
sums() { sha256sum "$work"/bin/*; }
before=$(sums)

# The program's own file (CVE-2019-5736): a process of ours in the container is looked at through /proc/PID/exe.
attack='while :; do for p in /proc/[0-9]*; do
  case $(readlink $p/exe 2>/dev/null) in ""|/bin/*) continue ;; esac
  (exec 9<$p/exe
    for i in 1 2 3; do (echo evil >/proc/self/fd/9) && echo written >>/tmp/written; done
    for i in 1 2 3 4 5 6 7 8 9; do sleep 0.01; (echo evil >/proc/self/fd/9) && echo written >>/tmp/written; done) 2>>/tmp/errors &
done; done'
printf '#!/proc/self/exe\n' >"$work/evil"
chmod 755 "$work/evil"
ctr run -d --name hostile --network none -v "$work/evil:/evil:ro" busybox sh -c "$attack" >/dev/null
for _ in 1 2 3 4 5 6 7 8; do
  ctr exec hostile /evil >/dev/null 2>&1 || true
  ctr exec hostile true || true
done
status_is 0 ctr exec hostile sh -c 'cat /tmp/written 2>/dev/null; true'
is "$(cat "$work/out")" "" "the program was written"
is "$(sums)" "$before" "the programs changed"
ctr run --rm --network none -v "$work/evil:/evil:ro" busybox /evil >/dev/null 2>&1 || true
ctr run --rm --network none --entrypoint /proc/self/exe busybox --version >/dev/null 2>&1 || true
is "$(sums)" "$before" "the programs changed"
# The shim runs from a read-only mount of its file, which nobody can open for writing.
shim=
for process in /proc/[0-9]*; do
  command=$({ tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null) || continue
  case $command in "$work/bin/ctr-shim run"*) shim=${process#/proc/} ;; esac
done
[ -n "$shim" ] || fail "there is no shim"
is "$(cat "/proc/$shim/comm")" ctr-shim "the shim's name"
is "$(python3 -c 'import os, sys; print(os.statvfs(sys.argv[1]).f_flag & os.ST_RDONLY)' "/proc/$shim/exe")" 1 "the mount of the shim's file is read-only"
ctr rm -f hostile >/dev/null

# The same by a RUN step, whose first process is a copy of ctr itself.
mkdir "$work/context"
printf 'FROM busybox\nCOPY evil /evil\nRUN (%s) & /evil; /proc/1/exe --version; sleep 0.3; test ! -e /tmp/written\nRUN ["/evil"]\n' \
  "$(printf '%s' "$attack" | tr '\n' ' ')" >"$work/context/Dockerfile"
cp "$work/evil" "$work/context/evil"
ctr build --network none "$work/context" >"$work/out" 2>&1 || true
has "$(cat "$work/out")" '/evil' "the build"
is "$(sums)" "$before" "the programs changed"

# Working directories and users that lead out (CVE-2024-21626; hostile passwd and group).
for number in 3 7 8 9; do
  printf 'FROM busybox\nWORKDIR /proc/self/fd/%s\n' $number >"$work/context/Dockerfile"
  ctr build -q -t wd$number "$work/context" >/dev/null 2>&1 || continue
  ctr run --rm --network none wd$number sh -c 'cat ../../../../etc/shadow 2>/dev/null; pwd' >"$work/out" 2>&1 || true
  has_not "$(cat "$work/out")" 'root:' "a working directory in a descriptor"
  has_not "$(cat "$work/out")" unreachable "a working directory in a descriptor"
done
ln -s /etc/shadow "$work/context/passwd"
printf 'FROM busybox\nRUN rm /etc/passwd /etc/group 2>/dev/null; ln -s /proc/1/environ /etc/passwd; mkfifo /etc/group\n' >"$work/context/Dockerfile"
ctr build -q --network none -t hostile-users "$work/context" >/dev/null
for user in root 5 nosuch; do timeout 60 "$CTR" run --rm --network none --user $user hostile-users true 2>"$work/err" || [ $? != 124 ] || fail "--user $user hangs"; done

# Mount points that the image leads out through links.
mkdir "$work/outside"
printf 'FROM busybox\nRUN ln -s %s /link && ln -s ../../../../../../../..%s /dots\n' "$work/outside" "$work/outside" >"$work/context/Dockerfile"
ctr build -q --network none -t links "$work/context" >/dev/null
mkdir "$work/data"
for target in /link/new /dots/new /link /dots; do
  ctr run --rm --network none -v "$work/data:$target" links true 2>/dev/null || true
  ctr run --rm --network none --tmpfs "$target" links true 2>/dev/null || true
  ctr run --rm --network none --workdir "$target" links true 2>/dev/null || true
done
is "$(ls -A "$work/outside")" "" "something was made outside"
mount | grep -q "$work/outside" && fail "something is mounted outside"

# cgroup release_agent, core_pattern, devices, as root of a default container.
status_is 0 ctr run --rm --network none busybox sh -c '
  for f in /sys/fs/cgroup/*/release_agent /proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys/kernel/uevent_helper; do
    (echo /evil >$f) 2>/dev/null && echo "wrote $f"; done
  mkdir /c; mount -t cgroup -o memory c /c 2>/dev/null && echo "mounted a cgroup"
  mknod /disk b 7 0 && head -c1 /disk 2>/dev/null && echo "read a disk"
  mount -t proc proc /c 2>/dev/null && echo "mounted proc"
  unshare -Ur true 2>/dev/null && echo "made a user namespace"
  true'
is "$(cat "$work/out")" "" "a default container"
echo "escapes: ok"
