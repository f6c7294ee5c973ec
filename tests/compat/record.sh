#!/usr/bin/env bash
# Asks a real dockerd, empty and of its own, what it answers to life.cases, and writes that to testdata/compat/life.docker.
# Needs root, dockerd, containerd, runc and a docker client (the newer the better). Usage: record.sh [ROOTFS.tar]
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
rootfs=$(realpath "${1:-${CTR_BASE_CACHE:-$HOME/.cache/ctr-base-images}/busybox/rootfs.tar}")
work=$(mktemp -d "${TMPDIR:-/tmp}/ctr-record.XXXXXX")
namespace=ctr-record-$$
mkdir -p "$work/config" "$work/run"
ip netns add "$namespace"
ip -n "$namespace" link set lo up
ip netns exec "$namespace" dockerd -H "unix://$work/docker.sock" --data-root "$work/data" --exec-root "$work/run" \
  --pidfile "$work/dockerd.pid" --cgroup-parent "/$namespace" >"$work/dockerd.log" 2>&1 &
daemon=$!
cleanup() {
  kill "$daemon" 2>/dev/null && wait "$daemon"
  awk -v under="$work/" 'index($5, under) == 1 {print $5}' /proc/self/mountinfo | sort -r | while read -r mount; do umount "$mount"; done
  ip netns del "$namespace"
  rm -rf "$work"
}
trap cleanup EXIT
export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work/config DOCKER_CLI_HINTS=false
for _ in $(seq 300); do ! docker version >/dev/null 2>&1 || break; sleep 0.1; done
mkdir -p "$here/testdata/compat"
DOCKER=docker ROOTFS=$rootfs ip netns exec "$namespace" bash "$here/tests/compat/life.sh" >"$work/answers"
mv "$work/answers" "$here/testdata/compat/life.docker"
