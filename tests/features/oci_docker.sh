#!/usr/bin/env bash
# Debian's docker (dockerd and the client) runs containers with ctr-oci as a runtime that daemon.json names: run, exec, a
# terminal, limits, kill, pause, stats, update, restart. A daemon of its own in a network namespace of its own, with
# everything below the script's directory.
. "$(dirname "$0")/lib.bash"
need_root "it starts dockerd"
need_program dockerd docker containerd-shim-runc-v2 containerd unshare
[ -x /bin/busybox ] || skip "needs the package busybox-static"
if [ -z "${CTR_TEST_PRIVATE:-}" ]; then
  trap - EXIT
  rm -rf "$work"
  CTR_TEST_PRIVATE=1 exec unshare --mount --net --propagation private bash "$0"
fi

ln -s "$(realpath "$CTR")" "$work/ctr-oci"
cat >"$work/daemon.json" <<JSON
{"data-root": "$work/data", "exec-root": "$work/exec", "pidfile": "$work/dockerd.pid", "hosts": ["unix://$work/docker.sock"],
 "bridge": "none", "iptables": false, "ip6tables": false, "default-runtime": "ctr-oci", "runtimes": {"ctr-oci": {"path": "$work/ctr-oci"}}}
JSON
echo '{}' >"$DOCKER_CONFIG/config.json"
export DOCKER_HOST=unix://$work/docker.sock
dockerd --config-file "$work/daemon.json" >"$work/dockerd.log" 2>&1 &
daemon=$!
end_containers() {
  docker rm -f $(docker ps -aq) >/dev/null 2>&1
  kill "$daemon" 2>/dev/null
  wait "$daemon" 2>/dev/null
  umount -l "$work"/data/overlay2 "$work"/data/overlay2/*/merged "$work"/exec/netns/* 2>/dev/null
}
trap 'status=$?; trap - ERR; set +e; [ $status = 0 ] || tail -20 "$work/dockerd.log" >&2; end_containers; (exit $status); cleanup' EXIT
eventually 60 docker version

mkdir -p "$work/rootfs"/{bin,etc,proc,sys,dev,tmp}
cp /bin/busybox "$work/rootfs/bin/busybox"
chroot "$work/rootfs" /bin/busybox --install -s /bin
printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:7:8::/:/bin/sh\n' >"$work/rootfs/etc/passwd"
tar -C "$work/rootfs" -c . | docker import --change 'CMD ["sh"]' - busybox >/dev/null
run() { docker run --rm --network none "$@"; }
has "$(docker info --format '{{.DefaultRuntime}}')" ctr-oci "the runtime"

status_is 7 run busybox sh -c 'echo out; echo err >&2; exit 7'
is "$(cat "$work/out")$(cat "$work/err")" outerr "the streams"
is "$(run --user user --hostname box --env A=b --workdir /w busybox sh -c 'echo $(id -u) $(id -g) $(hostname) $A $(pwd)')" \
  "7 8 box b /w" "the process"
is "$(run --read-only --tmpfs /scratch --memory 32m --pids-limit 50 busybox sh -c 'touch /x 2>/dev/null; touch /scratch/x && echo fine')" fine \
  "--read-only --tmpfs"
is "$(run --privileged busybox sh -c 'mount -t tmpfs none /tmp && echo mounted')" mounted "--privileged"
is "$(run --init busybox sh -c 'cat /proc/1/comm')" docker-init "--init"
status_is 127 run busybox nosuch
has "$(cat "$work/err")" "executable file not found" "a missing command"
status_is 126 run busybox /etc

docker run -d --name web --network none --memory 64m --health-cmd 'test -e /tmp/ready' --health-interval 1s busybox \
  sh -c 'trap "exit 5" TERM; while :; do sleep 0.1; done' >/dev/null
is "$(docker exec web echo hello)" hello exec
status_is 9 docker exec web sh -c 'exit 9'
is "$(docker exec --user user --workdir /tmp web sh -c 'echo $(id -u) $(pwd)')" "7 /tmp" "exec with a user"
is "$(docker exec -t web sh -c 'test -t 1 && echo terminal' | tr -d '\r')" terminal "exec -t"
docker exec web touch /tmp/ready
is_healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' web)" = healthy ]; }
eventually 60 is_healthy
has "$(docker top web)" sleep top
has "$(docker stats --no-stream --format '{{.MemUsage}}' web)" 64MiB stats
docker pause web >/dev/null
is "$(docker inspect --format '{{.State.Status}}' web)" paused pause
docker unpause web >/dev/null
docker update --memory 96m --memory-swap 96m web >/dev/null
has "$(docker stats --no-stream --format '{{.MemUsage}}' web)" 96MiB update
docker restart --time 20 web >/dev/null
is "$(docker exec web echo again)" again "after a restart"
docker kill --signal TERM web >/dev/null
is "$(docker wait web)" 5 "the status after TERM"
docker run -d --name base --network none busybox sleep 1000 >/dev/null
is "$(run --pid container:base busybox readlink /proc/self/ns/pid)" "$(docker exec base readlink /proc/self/ns/pid)" "--pid container:"
docker kill base >/dev/null
is "$(docker wait base)" 137 "the status after KILL"
docker rm web base >/dev/null
is "$(ls "$work"/exec/runtime-ctr-oci/moby 2>/dev/null || true)" "" "state of deleted containers"
echo "docker: ok"
