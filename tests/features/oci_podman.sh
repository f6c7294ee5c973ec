#!/usr/bin/env bash
# Debian's podman and buildah run containers with ctr-oci as their runtime: run, exec, a terminal, health checks, a pod
# with shared namespaces, pause, stats, update, stop; buildah's RUN. A store of their own below the script's directory.
. "$(dirname "$0")/lib.bash"
need_root "it starts podman as root"
need_program podman conmon python3
[ -x /bin/busybox ] || skip "needs the package busybox-static"

ln -s "$(realpath "$CTR")" "$work/ctr-oci"
hard_nofile=$(ulimit -Hn)
[ "$hard_nofile" != unlimited ] || hard_nofile=1048576
mkdir -p "$work/networks"
cat >"$work/containers.conf" <<CONF
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=$hard_nofile:$hard_nofile", "nproc=32768:32768"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "ctr-oci"
tmp_dir = "$work/libpod"
[engine.runtimes]
ctr-oci = ["$work/ctr-oci"]
[network]
network_config_dir = "$work/networks"
CONF
cat >"$work/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$work/podman/storage"
runroot = "$work/podman/run"
CONF
unset DOCKER_CONFIG
export CONTAINERS_CONF=$work/containers.conf CONTAINERS_STORAGE_CONF=$work/storage.conf

# podman's own mounts and network namespaces stay in a mount namespace of this script's own.
if [ -z "${CTR_TEST_PRIVATE:-}" ]; then
  trap - EXIT
  rm -rf "$work"
  CTR_TEST_PRIVATE=1 exec unshare --mount --propagation private bash "$0"
fi
p() { podman --root "$work/podman/storage" --runroot "$work/podman/run" --network-config-dir "$work/networks" "$@"; }
end_containers() {
  p pod rm --all --force --time 0 >/dev/null 2>&1
  p rm --all --force --time 0 >/dev/null 2>&1
  umount -l "$work/podman/storage/overlay" 2>/dev/null
}
trap 'status=$?; trap - ERR; set +e; end_containers; (exit $status); cleanup' EXIT

mkdir -p "$work/rootfs"/{bin,etc,proc,sys,dev,tmp}
cp /bin/busybox "$work/rootfs/bin/busybox"
chroot "$work/rootfs" /bin/busybox --install -s /bin
printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:7:8::/:/bin/sh\n' >"$work/rootfs/etc/passwd"
printf '#!/bin/sh\nexec sleep 100000\n' >"$work/rootfs/bin/pause"
chmod 755 "$work/rootfs/bin/pause"
tar -C "$work/rootfs" -c . | p import --change CMD='["sh"]' - localhost/busybox >/dev/null 2>&1
image=localhost/busybox

# run: output, status, what the container is given.
status_is 7 p run --rm --network none $image sh -c 'echo out; echo err >&2; exit 7'
is "$(cat "$work/out")" out "standard output"
has "$(cat "$work/err")" err "standard error"
status_is 0 p run --rm --network none --user user --hostname box --env A=b --workdir /tmp $image \
  sh -c 'echo $(id -u) $(id -g) $(hostname) $A $(pwd)'
is "$(cat "$work/out")" "7 8 box b /tmp" "the process"
status_is 0 p run --rm --network none --read-only --tmpfs /scratch --volume "$work/podman:/here:ro" $image \
  sh -c 'touch /x /here/x; touch /scratch/x && echo fine'
is "$(cat "$work/out")" fine "read-only root, tmpfs, volume"
status_is 0 p run --rm --network none --memory 32m --pids-limit 50 $image sh -c \
  'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; true'
is "$(cat "$work/out")" "33554432
50" "memory and pids"
status_is 0 p run --rm --network none --cap-drop all --security-opt no-new-privileges $image \
  sh -c 'grep -E "CapEff|NoNewPrivs|Seccomp:" /proc/self/status | tr -d "\t" | tr "\n" " "'
is "$(cat "$work/out")" "CapEff:0000000000000000 NoNewPrivs:1 Seccomp:2 " "privileges"
status_is 0 p run --rm --network none --privileged $image sh -c 'mount -t tmpfs none /tmp && echo mounted'
is "$(cat "$work/out")" mounted "--privileged"
status_is 127 p run --rm --network none $image /nosuch
status_is 127 p run --rm --network none $image nosuch
status_is 126 p run --rm --network none $image /etc
status_is 0 p run --rm --network none --init $image sh -c 'cat /proc/1/comm'
has "$(cat "$work/out")" i "--init" # catatonit, where it is installed
status_is 3 p run --rm --network none --stop-signal TERM --timeout 0 $image sh -c 'kill -s USR1 $$ 2>/dev/null; exit 3'

# A terminal.
cat >"$work/terminal.py" <<'PY'
import os, pty, sys
def read(fd):
    try:
        return os.read(fd, 4096)
    except OSError:
        return b""
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], read)))
PY
on_terminal() { python3 "$work/terminal.py" podman --root "$work/podman/storage" --runroot "$work/podman/run" "$@" </dev/null; }
status_is 4 on_terminal run --rm -it --network none $image sh -c 'tty; exit 4'
has "$(cat "$work/out")" /dev/pts/0 "run -it"

# In the background: exec, exec -it, top, stats, pause, update, stop.
p run -d --name web --network none --memory 64m --health-cmd 'test -e /tmp/ready' --health-interval disable \
  $image sh -c 'trap "exit 5" TERM; while :; do sleep 0.1; done' >/dev/null
is "$(p exec web echo hello)" hello exec
status_is 9 p exec web sh -c 'exit 9'
status_is 127 p exec web nosuch
status_is 0 p exec --user user --workdir /tmp --env B=c web sh -c 'echo $(id -u) $(pwd) $B'
is "$(cat "$work/out")" "7 /tmp c" "exec with a user"
status_is 6 on_terminal exec -it web sh -c 'tty; exit 6'
has "$(cat "$work/out")" /dev/pts/0 "exec -it"
status_is 1 p healthcheck run web
p exec web touch /tmp/ready
status_is 0 p healthcheck run web
is "$(p inspect --format '{{.State.Health.Status}}' web)" healthy "health"
has "$(p top web)" "sleep" top
has "$(p stats --no-stream --format '{{.MemUsage}}' web)" "67.1" stats
p pause web >/dev/null
is "$(p inspect --format '{{.State.Status}}' web)" paused pause
p unpause web >/dev/null
is "$(p exec web echo again)" again "after unpause"
p kill --signal TERM web >/dev/null
is "$(p wait web)" 5 "the status after TERM"
p start web >/dev/null
p stop --time 10 web >/dev/null
is "$(p inspect --format '{{.State.ExitCode}}' web)" 5 "stop"
p rm web >/dev/null
is "$(ls "$work/libpod/../podman/run/overlay-containers" 2>/dev/null | wc -l)" 0 "leftovers" || true

# A pod shares network, ipc and uts; a container may join another's namespaces.
if p pod create --name pod --network none --infra-command /bin/pause --infra-image $image --share net,ipc,uts >"$work/pod" 2>&1; then
  p run -d --pod pod --name a $image sleep 1000 >/dev/null
  p run -d --pod pod --name b $image sleep 1000 >/dev/null
  for kind in net ipc uts; do
    is "$(p exec a readlink /proc/self/ns/$kind)" "$(p exec b readlink /proc/self/ns/$kind)" "the pod's $kind namespace"
  done
  [ "$(p exec a readlink /proc/self/ns/mnt)" != "$(p exec b readlink /proc/self/ns/mnt)" ] || fail "the mount namespace is shared"
  p pod rm --force --time 0 pod >/dev/null
else
  cat "$work/pod" >&2
  fail "podman pod create"
fi
p run -d --name base --network none $image sleep 1000 >/dev/null
status_is 0 p run --rm --network container:base --pid container:base $image ps
has "$(cat "$work/out")" "sleep 1000" "--pid container:"
p rm -f --time 0 base >/dev/null

# A user namespace.
status_is 0 p run --rm --network none --uidmap 0:100000:1000 --gidmap 0:100000:1000 $image sh -c 'id -u; cat /proc/self/uid_map'
is "$(head -1 "$work/out")" 0 "--uidmap"
has "$(cat "$work/out")" 100000 "--uidmap"

# buildah's RUN.
if command -v buildah >/dev/null; then
  mkdir "$work/context"
  printf 'FROM localhost/busybox\nRUN echo made >/made && test "$(cat /proc/1/comm)" = sh\n' >"$work/context/Dockerfile"
  status_is 0 buildah --root "$work/podman/storage" --runroot "$work/podman/run" bud --runtime "$work/ctr-oci" \
    --isolation oci --network none -t localhost/built "$work/context"
  is "$(p run --rm --network none localhost/built cat /made)" made "buildah's RUN"
fi
echo "podman: ok"
