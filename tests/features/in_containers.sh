#!/usr/bin/env bash
# ctr inside a container, as a CI system runs it, in four environments: a default container as root, as uid 1000, with
# seccomp unconfined, privileged. Pull, push and a build of files work in all; RUN where the environment allows it.
# With CTR_OUTER=docker the containers are Docker's.
. "$(dirname "$0")/lib.bash"
need_root "it starts containers of all kinds"
outer=${CTR_OUTER:-$CTR}
programs=$(dirname "$CTR")
need_program docker-registry curl
busybox_image

mkdir "$work/registry"
port=$(free_port)
printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\n' \
  "$work/registry" "$port" >"$work/registry.yml"
docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
started_pids+=($!)
eventually 20 curl -fsS "http://127.0.0.1:$port/v2/"
base=127.0.0.1:$port/busybox
ctr tag busybox "$base"
ctr push -q "$base" >/dev/null

mkdir "$work/context"
echo copied >"$work/context/file"
printf 'FROM %s\nCOPY --chown=33:33 file /dir/file\nENV A=b\nUSER 1000\n' "$base" >"$work/context/Dockerfile"
printf 'FROM %s\nCOPY file /file\nRUN echo ran >/made && rm /etc/group && cat /file && id -u\nUSER 1000\nRUN id -u\n' "$base" \
  >"$work/context/Dockerfile.run"
find "$work" -name store.ns -prune -o -exec chmod a+rX {} + # a namespace has no mode to change

# inside FLAG... -- COMMAND: this machine's programs in a container whose store lies on its own root filesystem.
inside() {
  local flags=()
  while [ "$1" != -- ]; do flags+=("$1"); shift; done
  shift
  "$outer" run --rm --network host "${flags[@]}" -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro \
    -v /etc/ssl:/etc/ssl:ro -v "$programs:/ctr:ro" -v "$work/context:/context:ro" -e HOME=/tmp/home -e PATH=/ctr:/bin:/usr/bin \
    "$image" /bin/busybox sh -ec "$1"
}
image=busybox
if [ "$outer" != "$CTR" ]; then
  ctr save busybox | "$outer" load >/dev/null
fi

files='
ctr pull -q '$base'
ctr build -q -t app /context
ctr tag app '$base'-made
ctr push -q '$base'-made'
run='
ctr build --progress plain -t ran -f /context/Dockerfile.run /context 2>&1
ctr tag ran '$base'-ran
ctr push -q '$base'-ran'

check_made() { # what was pushed says what was asked for, whoever made it
  ctr rmi -f "$base-made" >/dev/null 2>&1 || true
  ctr pull -q "$base-made" >/dev/null
  is "$(ctr run --rm -u 0 "$base-made" stat -c '%u:%g' /dir /dir/file /etc | tr '\n' ' ')" "33:33 33:33 0:0 " "$1"
  is "$(ctr inspect -f '{{.Config.User}}' "$base-made")" 1000 "$1"
}
check_ran() {
  ctr rmi -f "$base-ran" >/dev/null 2>&1 || true
  ctr pull -q "$base-ran" >/dev/null
  is "$(ctr run --rm -u 0 "$base-ran" sh -c 'cat /made; ls /etc')" "ran
hostname
hosts
passwd
resolv.conf" "$1"
  # Nothing of the environment is in the layer.
  is "$(ctr run --rm -u 0 "$base-ran" sh -c 'ls /dev/null.before-step /etc/*.before-step 2>/dev/null || true')" "" "$1"
}

echo "1: root in a default container"
inside -- "$files" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "1: files"; }
check_made 1
inside -- "$run" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "1: RUN"; }
is "$(grep -c 'not isolated' "$work/log")" 1 "1: one warning"
check_ran 1

echo "2: uid 1000 in a default container"
inside -u 1000 --tmpfs /tmp:mode=1777,exec -- "$files" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "2: files"; }
check_made 2
! inside -u 1000 --tmpfs /tmp:mode=1777,exec -- "$run" >"$work/log" 2>&1 || fail "2: RUN succeeded"
has "$(cat "$work/log")" "seccompProfile" "2: what the pod must allow"
has_not "$(cat "$work/log")" "COPY file /file
#5 DONE" "2: before any step"

echo "3: seccomp unconfined"
inside --security-opt seccomp=unconfined -- "$files" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "3: files"; }
check_made 3
inside --security-opt seccomp=unconfined -- "$run" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "3: RUN"; }
has_not "$(cat "$work/log")" "not isolated"
check_ran 3

echo "4: privileged"
inside --privileged -- "$files" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "4: files"; }
check_made 4
inside --privileged -- "$run" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "4: RUN"; }
check_ran 4
is "$(inside --privileged -- "ctr pull -q $base >/dev/null; ctr run --rm --network none $base echo nested")" nested
