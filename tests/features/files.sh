#!/usr/bin/env bash
# The files of a container: cp both ways, on running and stopped ones, with cp(1)'s rules; diff, commit, export.
. "$(dirname "$0")/lib.bash"
need_containers
busybox_image

ctr run -d --name box busybox sleep 1000 >/dev/null
mkdir -p "$work/tree/sub"
echo one >"$work/tree/one"
echo two >"$work/tree/sub/two"
ln -s one "$work/tree/link"

ctr cp "$work/tree" box:/data
is "$(ctr exec box cat /data/sub/two)" two
is "$(ctr exec box readlink /data/link)" one
is "$(ctr exec box stat -c %u /data/one)" 0
ctr cp "$work/tree" box:/data
is "$(ctr exec box cat /data/tree/one)" one
ctr cp "$work/tree/." box:/other
is "$(ctr exec box cat /other/one)" one
ctr cp "$work/tree/one" box:/renamed
is "$(ctr exec box cat /renamed)" one
status_is 1 ctr cp "$work/tree/one" box:/nosuch/
status_is 1 ctr cp "$work/tree" box:/renamed

ctr cp box:/data/sub/two "$work/got"
is "$(cat "$work/got")" two
mkdir "$work/here"
ctr cp box:/data "$work/here"
is "$(cat "$work/here/data/sub/two")" two
ctr cp box:/data/. "$work/new"
is "$(cat "$work/new/one")" one
is "$(ctr cp box:/data/one - | tar -xO one)" one
tar -C "$work/tree" -c one | ctr cp - box:/tmp
is "$(ctr exec box cat /tmp/one)" one
status_is 1 ctr cp box:/nosuch "$work/x"
has "$(cat "$work/err")" "/nosuch"
status_is 1 ctr cp nosuch:/x "$work/x"

# A link in the container never leads out of it.
ctr exec box ln -s / /escape
echo secret >"$work/secret"
ctr cp "$work/secret" box:/escape/inside
is "$(ctr exec box cat /inside)" secret
[ ! -e /inside ] || fail "a copy went outside the container"

ctr stop box >/dev/null
ctr cp "$work/tree/one" box:/stopped
is "$(ctr cp box:/stopped - | tar -xO stopped)" one
has "$(ctr diff box)" "A /stopped"
has "$(ctr diff box)" "C /tmp"
id=$(ctr commit -m saved -c 'CMD ["cat", "/renamed"]' box saved:1)
has "$id" "sha256:"
is "$(ctr run --rm --network none saved:1)" one
