#!/usr/bin/env bash
# Layers in both forms, in one store: images that are mounted and directories. What containers see, where mounts are, what
# stays behind; `system check` finds damage and repairs it.
. "$(dirname "$0")/lib.bash"
need_containers
export CTR_LAYER_FORMAT=directory
busybox_image
export CTR_LAYER_FORMAT=erofs
case $(ctr info --format '{{json .DriverStatus}}') in *none*) skip "this machine can't mount layers from files" ;; esac
is "$(ctr info --format '{{json .DriverStatus}}')" '[["Layer Format","erofs"]]'
images() { find "$CTR_ROOT/layers" -name tree.erofs | wc -l; }
mounts() { awk '{print $5}' /proc/self/mountinfo | grep -c "^$work" || true; }

# How many images are mounted in the store's namespace, seen through a process that is there.
mounted_images() {
  local pid count
  nsenter --mount="$CTR_RUN/store.ns" sleep 100 &
  pid=$!
  until [ "$(readlink "/proc/$pid/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ]; do sleep 0.01; done
  count=$(grep -c ' - erofs ' "/proc/$pid/mountinfo" || true)
  kill "$pid"
  wait "$pid" 2>/dev/null || true
  echo "$count"
}

mkdir -p "$work/context/files/sub"
echo one >"$work/context/files/one"
echo two >"$work/context/files/sub/two"
ln "$work/context/files/one" "$work/context/files/same"
ln -s one "$work/context/files/link"
head -c 3000000 /dev/urandom >"$work/context/files/large"
chmod 4711 "$work/context/files/one"
cat >"$work/context/Dockerfile" <<'END'
FROM busybox
COPY --chown=7:8 files /data
RUN rm /data/large && echo new >/data/new && ls /data >/list
COPY files/one /data/again
END
ctr build -q -t app "$work/context" >/dev/null
is "$(images)" 2 "images of two COPY steps"
is "$(ctr run --rm --network none app stat -c '%u:%g %a %h' /data/one)" "7:8 4711 2"
is "$(ctr run --rm --network none app cat /data/new /data/sub/two /data/link /data/again)" "new
two
one
one"
status_is 1 ctr run --rm --network none app ls /data/large
has "$(cat "$work/err")" "No such file or directory"
is "$(ctr run --rm --network none app cat /list)" "link
new
one
same
sub" "what a RUN step saw"

# Mounted once, in a namespace that the host does not see.
is "$(mounts)" 2 "mounts that the host sees"
ctr run -d --name box app sleep 1000 >/dev/null
ctr run -d --name other app sleep 1000 >/dev/null
is "$(mounted_images)" 2 "each image is mounted once"
is "$(ctr exec box cat /data/sub/two)" two
ctr exec box sh -c 'echo changed >/data/sub/two; rm /data/new'
is "$(ctr exec other cat /data/sub/two /data/new)" "two
new"
ctr stop -t 0 box >/dev/null
is "$(ctr cp box:/data/sub/two - | tar -xO)" changed
has "$(ctr diff box)" "D /data/new"
is "$(ctr export box | tar -tvf - data/one | awk '{print $1, $2}')" "-rws--x--x 7/8"
ctr commit box committed >/dev/null
is "$(images)" 3
is "$(ctr run --rm --network none committed cat /data/sub/two)" changed
ctr start box >/dev/null
is "$(ctr exec box cat /data/sub/two)" changed
ctr rm -f box other >/dev/null

# The same bytes out of either form.
ctr save app -o "$work/app.tar"
id=$(ctr inspect --format '{{.Id}}' app)
(
  export CTR_ROOT=$work/second CTR_RUN=$work/second-run CTR_LAYER_FORMAT=directory
  ctr load -q -i "$work/app.tar" >/dev/null
  is "$(ctr inspect --format '{{.Id}}' app)" "$id"
  is "$(find "$CTR_ROOT/layers" -name tree.erofs | wc -l)" 0
  ctr save app -o "$work/again.tar"
  ctr system reset -f >/dev/null
)
mkdir "$work/x" "$work/y"
tar -xf "$work/app.tar" -C "$work/x"
tar -xf "$work/again.tar" -C "$work/y"
diff -r "$work/x/blobs" "$work/y/blobs"

# Check: clean, damaged, repaired.
is "$(ctr system check | tail -1 | sed 's/.*: //')" "no problem"
ctr rmi committed >/dev/null
image=$(find "$CTR_ROOT/layers" -name tree.erofs -size +2000k)
printf 'damage' | dd of="$image" bs=1 seek=8192 conv=notrunc status=none
status_is 1 ctr system check
has "$(cat "$work/out")" "is damaged"
status_is 1 ctr system check --repair
has "$(cat "$work/out")" "image app:latest: lacks its layer"
ctr load -q -i "$work/app.tar" >/dev/null
is "$(ctr run --rm --network none app cat /data/sub/two)" two
hex=$(printf orphan | sha256sum | cut -c1-64)
printf orphan >"$CTR_ROOT/blobs/sha256/$hex"
status_is 1 ctr system check
has "$(cat "$work/out")" "blob sha256:$hex: belongs to nothing"
status_is 0 ctr system check --repair
[ ! -e "$CTR_ROOT/blobs/sha256/$hex" ] || fail "the orphan is still there"
is "$(ctr system check | tail -1 | sed 's/.*: //')" "no problem"

# What is removed is unmounted, and nothing stays.
ctr rmi -f app busybox >/dev/null
ctr system prune -af >/dev/null
is "$(find "$CTR_ROOT/layers" -name tree.erofs | wc -l)" 0
is "$(mounted_images)" 0 "images that are mounted after their removal"
ctr system reset -f >/dev/null
is "$(mounts)" 0 "mounts after a reset"
