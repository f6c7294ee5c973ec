#!/usr/bin/env bash
# Debian's containerd runs containers with ctr-oci as the binary of its runc.v2 shim: run, exec, kill, pause, metrics,
# delete, a terminal, a missing command. A containerd of its own, with everything below the script's directory.
. "$(dirname "$0")/lib.bash"
need_root "it starts containerd"
need_program containerd containerd-shim-runc-v2 python3
[ -x /usr/bin/ctr ] || skip "needs /usr/bin/ctr of the package containerd"
[ -x /bin/busybox ] || skip "needs the package busybox-static"

ln -s "$(realpath "$CTR")" "$work/ctr-oci"
cat >"$work/containerd.toml" <<TOML
version = 2
root = "$work/containerd/root"
state = "$work/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$work/containerd.sock"
[ttrpc]
  address = "$work/containerd.sock.ttrpc"
TOML
containerd --config "$work/containerd.toml" >"$work/containerd.log" 2>&1 &
started_pids+=($!)
client() { /usr/bin/ctr --address "$work/containerd.sock" --namespace "$space" "$@"; }
space=ctr-test-$$
mine() { client run --rootfs --runc-binary "$work/ctr-oci" --runc-root "$work/oci" "$@"; }

end_containers() {
  local id
  for id in $(client tasks list -q 2>/dev/null); do client tasks delete --force "$id" >/dev/null 2>&1; done
  # The shims end a moment after their last container.
  for _ in $(seq 100); do grep -qs "$work" /proc/[0-9]*/cmdline || break; sleep 0.05; done
}
trap 'status=$?; trap - ERR; set +e; end_containers; (exit $status); cleanup' EXIT
eventually 30 client version

rootfs=$work/rootfs
mkdir -p "$rootfs"/{bin,etc,proc,sys,dev,tmp}
cp /bin/busybox "$rootfs/bin/busybox"
chroot "$rootfs" /bin/busybox --install -s /bin
echo 'root:x:0:0:root:/root:/bin/sh' >"$rootfs/etc/passwd"

status_of() { client tasks list | awk -v id="$1" '$1 == id { print $3 }'; }
is_status() { [ "$(status_of "$1")" = "$2" ]; }

# In the foreground: output and status come back, nothing stays.
status_is 7 mine --rm "$rootfs" first sh -c 'echo out; echo err >&2; exit 7'
is "$(cat "$work/out")" out "standard output"
is "$(head -1 "$work/err")" err "standard error"
is "$(client containers list -q)" "" "a container stayed"
is "$(ls "$work/oci/$space" 2>/dev/null)" "" "state stayed"

# What the container is given.
status_is 0 mine --rm --env A=b --cwd /tmp "$rootfs" look sh -c 'echo $A $(pwd) $$'
is "$(cat "$work/out")" "b /tmp 1" "the process"
status_is 0 mine --rm --read-only "$rootfs" fixed sh -c 'touch /x 2>/dev/null || echo refused'
is "$(cat "$work/out")" refused "a read-only root"
mkdir -p "$work/data"
status_is 0 mine --rm --mount "type=bind,src=$work/data,dst=/data,options=rbind:rw" "$rootfs" bound touch /data/file
[ -e "$work/data/file" ] || fail "the bind mount"
status_is 0 mine --rm --seccomp "$rootfs" filtered sh -c 'grep Seccomp: /proc/self/status'
has "$(cat "$work/out")" 2 "the filter"
# A command that does not exist is told in words that callers know.
status_is 1 mine --rm "$rootfs" missing /nosuch
has "$(cat "$work/err")" "no such file or directory" "the missing command"
client containers delete missing 2>/dev/null || true

# In the background: exec, pause, metrics, kill, delete.
mine -d --memory-limit 33554432 "$rootfs" web sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
eventually 10 is_status web RUNNING
is "$(client tasks exec --exec-id e1 web echo hello)" hello "exec"
status_is 9 client tasks exec --exec-id e2 web sh -c 'exit 9'
status_is 0 client tasks exec --exec-id e3 --cwd /tmp --user 5 web sh -c 'pwd; id -u'
is "$(cat "$work/out")" "/tmp
5" "cwd and user of an exec"
status_is 1 client tasks exec --exec-id e4 web /nosuch
has "$(cat "$work/err")" "no such file or directory" "an exec of nothing"
is "$(client tasks ps web | awk 'NR > 1' | wc -l | awk '$1 >= 1 { print "some" }')" some "the processes"
client tasks metrics web >"$work/metrics"
has "$(cat "$work/metrics")" 33554432 "the memory limit in the metrics"
grep -qE 'pids.current +[1-9]' "$work/metrics" || fail "metrics: $(cat "$work/metrics")"
client tasks pause web
is_status web PAUSED || fail "pause: $(status_of web)"
client tasks resume web
eventually 10 is_status web RUNNING
client tasks kill --signal SIGTERM web
eventually 10 is_status web STOPPED
status_is 0 client tasks delete web
has "$(cat "$work/err")" "exit code 3" "the status of web"
client containers delete web
is "$(ls "$work/oci/$space")" "" "state of a deleted container"

# SIGKILL, all processes, and a forced end.
mine -d "$rootfs" stubborn sh -c 'trap "" TERM; sleep 1000 & while :; do sleep 0.1; done'
eventually 10 is_status stubborn RUNNING
client tasks kill --signal SIGTERM stubborn
client tasks kill --signal SIGKILL --all stubborn
eventually 10 is_status stubborn STOPPED
status_is 0 client tasks delete stubborn
has "$(cat "$work/err")" "exit code 137" "the status of stubborn"
client containers delete stubborn
mine -d "$rootfs" forced sleep 1000
client tasks delete --force forced || true
client containers delete forced

# A terminal, through the shim's console socket.
cat >"$work/terminal.py" <<'PY'
import os, pty, sys
def read(fd):
    try:
        return os.read(fd, 4096)
    except OSError:
        return b""
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], read)))
PY
status_is 4 python3 "$work/terminal.py" /usr/bin/ctr --address "$work/containerd.sock" --namespace "$space" run --rm -t \
  --rootfs --runc-binary "$work/ctr-oci" --runc-root "$work/oci" "$rootfs" term sh -c 'tty; test -t 0 && exit 4'
has "$(cat "$work/out")" /dev/ "a terminal"

# A namespace of another container is joined by its path.
mine -d "$rootfs" first sleep 1000
eventually 10 is_status first RUNNING
pid=$(client tasks list | awk '$1 == "first" { print $2 }')
status_is 0 mine --rm --with-ns "network:/proc/$pid/ns/net" "$rootfs" second readlink /proc/self/ns/net
is "$(cat "$work/out")" "$(readlink "/proc/$pid/ns/net")" "the shared network"
client tasks kill --signal SIGKILL first
eventually 10 is_status first STOPPED
client tasks delete first >/dev/null || true
client containers delete first
echo "containerd: ok"
