#!/usr/bin/env bash
# Volumes and mounts: data that stays, in every form of -v and --mount, and nothing that leads out of the container.
. "$(dirname "$0")/lib.bash"
need_root
need_program python3
busybox_image
run() { ctr run --rm --network none "$@"; }
in_image() { run "$@" busybox sh -c "$script"; } # $script, with these flags
mountpoint_of() { ctr volume inspect -f '{{.Mountpoint}}' "$1"; }
# refused WORDS FLAG...: run says these words and starts nothing.
refused() {
  local words=$1
  shift
  status_is 125 ctr run --rm --network none "$@" busybox true
  has "$(cat "$work/err")" "$words" "run $*"
}

# --- ctr volume create, ls, inspect, rm, prune
is "$(ctr volume create --label tier=db data)" data "the name of a new volume"
is "$(ctr volume create data)" data "the same volume again"
anonymous=$(ctr volume create)
is "${#anonymous}" 64 "the name of a volume without one"
is "$(ctr volume ls -q --filter label=tier=db)" data "volume ls"
is "$(ctr volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{.Labels.tier}}' data)" "data local local db" "volume inspect"
[ -d "$(mountpoint_of data)" ] || fail "the mount point"
for bad in x 'a b' .hidden a/b; do
  status_is 1 ctr volume create "$bad"
  has "$(cat "$work/err")" "$bad" "the name $bad"
done
status_is 1 ctr volume create -d nosuch other
has "$(cat "$work/err")" 'plugin "nosuch" not found' "an unknown driver"
status_is 1 ctr volume create -o nonsense=1 other
has "$(cat "$work/err")" nonsense "an unknown option"
status_is 1 ctr volume rm nosuch
has "$(cat "$work/err")" "no such volume" "rm of what is not there"
ctr volume rm -f nosuch >/dev/null
ctr volume prune -f >"$work/out"
has "$(cat "$work/out")" "$anonymous" "prune takes anonymous volumes"
has_not "$(cat "$work/out")" data "prune leaves named ones"

# --- A volume keeps its content, is shared, and is not removed while somebody has it
run -v data:/d busybox sh -c 'echo kept >/d/file'
is "$(run -v data:/d:ro busybox cat /d/file)" kept "content stays"
ctr run -d --name writer --network none -v data:/d busybox sleep 100000 >/dev/null
ctr run -d --name reader --network none --mount source=data,target=/e,readonly busybox sleep 100000 >/dev/null
ctr exec writer sh -c 'echo shared >/d/live'
is "$(ctr exec reader cat /e/live)" shared "two running containers share a volume"
status_is 1 ctr exec reader touch /e/x
has "$(cat "$work/err")" "Read-only" "readonly"
status_is 1 ctr volume rm data
for name in writer reader; do has "$(cat "$work/err")" "$(ctr inspect -f '{{.Id}}' $name)" "a volume in use names its users"; done
is "$(ctr volume ls -q --filter dangling=false)" data "used volumes"
is "$(ctr inspect -f '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}' reader)" "volume data /e false" "inspect"
ctr run -d --name heir --network none --volumes-from writer:ro busybox sleep 100000 >/dev/null
is "$(ctr exec heir cat /d/live)" shared "--volumes-from"
status_is 1 ctr exec heir touch /d/x
ctr rm -f writer reader heir >/dev/null
ctr volume rm data >/dev/null
[ ! -e "$CTR_ROOT/volumes/data" ] || fail "a removed volume is still there"

# --- What the image has in a volume's place comes with owner, mode, links and times; once
mkdir "$work/context"
cat >"$work/context/Dockerfile" <<'END'
FROM busybox
RUN mkdir -p /app/data/sub /anon && echo first >/app/data/file && ln -s file /app/data/link && ln /app/data/file /app/data/hard && \
  chown -R 33:44 /app/data && chmod 640 /app/data/file && chmod 2750 /app/data && touch -d '2001-02-03 04:05:06' /app/data/sub && \
  echo worker:x:1234:1234::/:/bin/sh >>/etc/passwd
VOLUME /app/data /anon
END
ctr build -q --network none -t filled "$work/context" >/dev/null
look='cd /app/data; stat -c "%n %u:%g %a" . file sub; readlink link; stat -c %h file; stat -c %Y sub; cat file'
want=$(run --mount type=tmpfs,target=/nothing --entrypoint sh filled -c "$look")
run -v copy:/app/data filled true
is "$(run -v copy:/app/data busybox sh -c "$look")" "$want" "copy-up"
has "$want" ". 33:44 2750" "what the image has"
run -v copy:/app/data busybox sh -c 'echo changed >/app/data/file'
is "$(run -v copy:/app/data filled cat /app/data/file)" changed "only an empty volume is filled"
is "$(run -v other:/app/data:nocopy filled ls /app/data)" "" "nocopy"
is "$(run --mount type=volume,source=third,target=/app/data,volume-nocopy filled ls /app/data)" "" "volume-nocopy"
is "$(run --mount type=volume,source=copy,target=/s,volume-subpath=sub busybox stat -c %u /s)" 33 "volume-subpath"
refused "nosuch" --mount type=volume,source=copy,target=/s,volume-subpath=nosuch
ln -s /etc "$(mountpoint_of copy)/out"
is "$(run --mount type=volume,source=copy,target=/s,volume-subpath=../../.. busybox cat /s/file 2>/dev/null || true)" changed "a subpath does not lead above the volume"
has_not "$(run --mount type=volume,source=copy,target=/s,volume-subpath=out busybox ls /s 2>&1 || true)" shadow "a subpath that leads out"

# --- Anonymous volumes: of VOLUME and -v /path, gone with --rm and rm -v, kept by rm
before=$(ctr volume ls -q | sort)
run filled true
run -v /scratch busybox touch /scratch/x
volumes_as_before() { [ "$(ctr volume ls -q | sort)" = "$before" ]; }
eventually 20 volumes_as_before # --rm: after the answer
ctr run --name keeper --network none -v named:/n filled true
is "$(ctr inspect -f '{{len .Mounts}}' keeper)" 3 "volumes of VOLUME"
ctr rm keeper >/dev/null
is "$(($(ctr volume ls -q | wc -l) - $(echo "$before" | wc -l)))" 3 "rm keeps volumes"
ctr run --name keeper2 --network none filled true
left=$(ctr volume ls -q | wc -l)
ctr rm -v keeper2 >/dev/null
is "$(ctr volume ls -q | wc -l)" $((left - 2)) "rm -v removes them"
ctr volume inspect named >/dev/null || fail "a named volume went"
ctr volume prune -af --filter label!=keep >/dev/null
is "$(ctr volume ls -q)" "" "volume prune -a"

# --- Bind mounts
mkdir -p "$work/host/sub" "$work/inner"
echo host >"$work/host/file"
mount -t tmpfs tmpfs "$work/host/sub"
cleanup_mounts() { umount -l "$work/host/sub" 2>/dev/null; umount -l "$work/shared" 2>/dev/null; cleanup; }
trap cleanup_mounts EXIT
is "$(run -v "$work/host:/h" busybox cat /h/file)" host "-v"
is "$(run -v "$work/host/file:/one:ro" busybox cat /one)" host "-v of a file"
(cd "$work" && is "$(run -v ./host:/h busybox cat /h/file)" host "-v of a relative path")
run -v "$work/made/new:/h" busybox touch /h/x
[ -e "$work/made/new/x" ] || fail "-v makes a missing directory"
refused "bind source path does not exist" --mount "type=bind,source=$work/missing,target=/h"
run --mount "type=bind,source=$work/missing,target=/h,bind-create-src" busybox touch /h/x
[ -e "$work/missing/x" ] || fail "bind-create-src"
# Read-only is read-only all the way down; or not, when asked.
script='touch /h/x 2>/dev/null && echo top; touch /h/sub/x 2>/dev/null && echo sub; true'
is "$(in_image -v "$work/host:/h" | xargs)" "top sub" "rw"
is "$(in_image -v "$work/host:/h:ro" | xargs)" "" "ro"
is "$(in_image -v "$work/host:/h:rro" | xargs)" "" "rro"
is "$(in_image --mount "type=bind,source=$work/host,target=/h,ro" | xargs)" "" "--mount ro"
is "$(in_image --mount "type=bind,source=$work/host,target=/h,ro,bind-recursive=writable" | xargs)" sub "bind-recursive=writable"
is "$(in_image --mount "type=bind,source=$work/host,target=/h,ro,bind-recursive=readonly,bind-propagation=rprivate" | xargs)" "" "bind-recursive=readonly"
refused "option 'bind-recursive=writable' requires 'readonly'" --mount "type=bind,source=$work/host,target=/h,bind-recursive=writable"
refused "option 'bind-recursive=readonly' requires 'readonly'" --mount "type=bind,source=$work/host,target=/h,bind-recursive=readonly"
refused "requires 'bind-propagation=rprivate'" --mount "type=bind,source=$work/host,target=/h,ro,bind-recursive=readonly"
touch "$work/host/sub/seen"
is "$(run --mount "type=bind,source=$work/host,target=/h,bind-recursive=disabled" busybox ls /h/sub)" "" "bind-recursive=disabled"
for mode in ro,rw z,Z cached,delegated rslave,rshared; do refused "invalid mode: $mode" -v "$work/host:/h:$mode"; done
for option in z Z ro,z rw cached delegated consistent; do is "$(run -v "$work/host:/h:$option" busybox cat /h/file)" host "-v with $option"; done
refused "invalid mode" -v "$work/host:/h:nonsense"
refused "Duplicate mount point: /h" -v "$work/host:/h" -v "$work/inner:/h"
refused "must be absolute" -v "$work/host:relative"
refused "destination can't be '/'" -v "$work/host:/"
refused "unexpected key 'nonsense'" --mount type=bind,source=/,target=/h,nonsense=1
refused "cannot mix" --mount "type=volume,target=/h,bind-propagation=shared"
# Propagation: what is mounted on the host later is seen, and the other way round, as asked.
mkdir "$work/shared"
mount -t tmpfs tmpfs "$work/shared"
mount --make-shared "$work/shared"
mkdir "$work/shared/late"
ctr run -d --name slave --network none -v "$work/shared:/s:rslave" busybox sleep 100000 >/dev/null
ctr run -d --name private --network none -v "$work/shared:/s" busybox sleep 100000 >/dev/null
ctr run -d --name both --network none --cap-add SYS_ADMIN --security-opt apparmor=unconfined -v "$work/shared:/s:rshared" busybox sleep 100000 >/dev/null
mount -t tmpfs tmpfs "$work/shared/late"
touch "$work/shared/late/seen"
is "$(ctr exec slave ls /s/late)/$(ctr exec private ls /s/late)/$(ctr exec both ls /s/late)" seen//seen "a mount of the host's that came later"
ctr exec both mkdir /s/own
ctr exec both mount -t tmpfs tmpfs /s/own
ctr exec both touch /s/own/x
is "$(ls "$work/shared/own")" x "a mount of the container's with rshared"
ctr rm -f slave private both >/dev/null
umount "$work/shared/own" "$work/shared/late" 2>/dev/null || true

# --- Files belong to the caller
chmod 777 "$work/inner"
owner() { stat -c %u:%g "$work/inner/$1"; }
SUDO_UID=4321 SUDO_GID=5432 "$CTR" run --rm --network none -v "$work/inner:/i:idmap" busybox sh -c 'touch /i/a; stat -c %u:%g /i/a >/i/seen'
is "$(owner a)/$(cat "$work/inner/seen")" 4321:5432/0:0 "-v with idmap"
SUDO_UID=4321 SUDO_GID=5432 "$CTR" run --rm --network none --mount "type=bind,source=$work/inner,target=/i,idmap" --user worker filled touch /i/b
is "$(owner b)" 4321:5432 "idmap with a user of the image"
chown 7000:8000 "$work/inner"
run --mount "type=bind,source=$work/inner,target=/i,idmap=uids=7000-0-10;gids=8000-0-10" busybox sh -c 'touch /i/c; chown 3:4 /i/c'
is "$(owner c)" 7003:8004 "idmap with a mapping"
ctr volume create mapped >/dev/null
chown 7000:8000 "$(mountpoint_of mapped)"
run -v "mapped:/m:idmap=uids=7000-0-10;gids=8000-0-10" busybox touch /m/d
is "$(stat -c %u "$(mountpoint_of mapped)/d")" 7000 "idmap of a volume"
refused "invalid idmap" -v "$work/inner:/i:idmap=nonsense"

# --- tmpfs and images
is "$(run --mount type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770 busybox sh -c 'stat -c %a /t; df -k /t | awk "END {print \$2}"' | xargs)" "1770 1024" "--mount type=tmpfs"
is "$(run --tmpfs /t:size=2m,mode=700 busybox sh -c 'stat -c %a /t; df -k /t | awk "END {print \$2}"' | xargs)" "700 2048" "--tmpfs"
is "$(run --mount type=image,source=filled,target=/img busybox cat /img/app/data/file)" first "--mount type=image"
is "$(run --mount type=image,source=filled,target=/img,image-subpath=app/data busybox cat /img/file)" first "image-subpath"
status_is 1 ctr run --rm --network none --mount type=image,source=filled,target=/img busybox touch /img/x
refused nosuch --mount type=image,source=nosuch,target=/img

# --- Options of the local driver: mounted while somebody uses it
ctr volume create -o type=tmpfs -o device=tmpfs -o o=size=1m,uid=77 ram >/dev/null
ctr run -d --name ram --network none -v ram:/r busybox sleep 100000 >/dev/null
is "$(ctr exec ram sh -c 'stat -c %u /r; df -k /r | awk "END {print \$2}"' | xargs)" "77 1024" "a volume in memory"
ctr run --rm --network none -v ram:/r busybox touch /r/x
is "$(ctr exec ram ls /r)" x "shared while it is used"
ctr rm -f ram >/dev/null
ram_is_unmounted() { ! grep -q " $(mountpoint_of ram) " /proc/self/mountinfo; }
eventually 20 ram_is_unmounted
ctr volume create -o type=none -o device="$work/host" -o o=bind hosted >/dev/null
is "$(run -v hosted:/h busybox cat /h/file)" host "a volume that is a directory of the host"
is "$(run --mount "type=volume,target=/h,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=$work/host,volume-label=a=b" busybox cat /h/file)" host "volume-opt"
ctr volume create -o type=none -o device="$work/nowhere" -o o=bind broken >/dev/null
refused "$work/nowhere" -v broken:/h
status_is 1 ctr volume create -o type=nfs -o device=:/export -o o=addr=192.0.2.1 remote
has "$(cat "$work/err")" "type nfs are not supported yet" "what is not supported is refused by name"
for word in export import clone; do
  status_is 1 ctr volume $word data
  has "$(cat "$work/err")" "$word" "ctr volume $word"
done
status_is 1 ctr volume create -o type=tmpfs ram2
has "$(cat "$work/err")" device "an incomplete option"

# --- Sources and targets that are links lead nowhere else; mount_races.sh shows those that are swapped while they are mounted
mkdir "$work/real" "$work/secret"
echo secret >"$work/secret/file"
echo real >"$work/real/file"
ln -s real "$work/link"
is "$(run -v "$work/link:/l" busybox cat /l/file)" real "a source that is a link of the user's own"
printf 'FROM busybox\nRUN ln -s %s /out && ln -s /inside /in && mkdir /inside\n' "$work/secret" >"$work/context/Dockerfile"
ctr build -q --network none -t links "$work/context" >/dev/null
run -v "$work/real:/out" links true 2>/dev/null || true
run -v "$work/real:/out/deeper" links true 2>/dev/null || true
is "$(ls "$work/secret")" file "a target that is a link leads out"
is "$(run -v "$work/real:/in" links cat /inside/file)" real "a target that is a link inside"
