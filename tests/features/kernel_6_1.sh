#!/usr/bin/env bash
# The quickstart's build and run on an older kernel, 6.1 with pure cgroup v2, in User-Mode Linux: no lowerdir+, no
# detached lowers; networks, ports, limits and the freezer as on most machines.
. "$(dirname "$0")/lib.bash"
need_program linux.uml modprobe curl
[ -x /bin/busybox ] || skip "needs the package busybox-static"
cat >"$work/suite" <<'SUITE'
set -Eeu -o pipefail
trap 'echo "failed at line $LINENO: $BASH_COMMAND"' ERR
export CTR_ROOT=/tmp/store CTR_RUN=/run/ctr CTR_BASE_CACHE=/tmp/base DOCKER_CONFIG=/tmp/docker
"$HERE/scripts/base-images" --ctr "$CTR" busybox
ctr() { "$CTR" "$@"; }
mkdir /tmp/app
cat >/tmp/app/Dockerfile <<'D'
FROM busybox
WORKDIR /home/node/app
RUN echo "Hello, World!" > index.html && stat -c %u:%g index.html
COPY app.js .
EXPOSE 8080
USER nobody
CMD ["httpd", "-f", "-p", "8080"]
D
echo app >/tmp/app/app.js
ctr build --progress plain -t sample-app:v1 /tmp/app
ctr build --progress plain -t sample-app:v1 /tmp/app 2>&1 | grep -c CACHED
ctr run --rm --network none busybox echo alone
ctr run -d --name app --init -p 8080:8080 -m 64m --pids-limit 20 --cpus 0.5 sample-app:v1
for try in $(seq 100); do curl -fs http://127.0.0.1:8080/ && break; sleep 0.1; done
curl -fs http://localhost:8080/ | grep -x "Hello, World!"
ctr exec app cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max
ctr exec app cat /sys/fs/cgroup/memory.max | grep -x 67108864
ctr pause app
ctr ps --format '{{.Status}}' | grep Paused
ctr unpause app
ctr update -m 32m --memory-swap 32m app
ctr exec app cat /sys/fs/cgroup/memory.max | grep -x 33554432
ctr stop app
ctr start app
ctr rm -f app
ctr run -d --name stubborn --network none busybox sleep 1000
ctr stop stubborn
ctr ps -a --filter name=stubborn --format '{{.Status}}' | grep "Exited (143)"
ctr cp stubborn:/bin/busybox /tmp/copy
cmp /tmp/copy /bin/busybox
ctr run --name full -m 16m --network none busybox sh -c 'head -c 100m /dev/zero | tail' || true
ctr inspect -f '{{.State.OOMKilled}}' full | grep true
ctr system reset --force
! ip -o link | grep ctr
! find /sys/fs/cgroup -mindepth 1 -name 'ctr*' | grep .
SUITE
status_is 0 "$here/tests/uml/run" "$work/suite" HERE="$here" CTR="$(realpath "$CTR")"
cat "$work/out"
has "$(cat "$work/out")" "Hello, World!" "the app on 6.1"
