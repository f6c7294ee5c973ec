# The tools that people use today, each started with everything below $work: containerd, dockerd, podman. Source it
# after lib.bash; what is started ends with the script.

# containerd of its own; `client` is its command line. Needs the package containerd.
start_containerd() {
  need_program containerd containerd-shim-runc-v2
  [ -x /usr/bin/ctr ] || skip "needs /usr/bin/ctr of the package containerd"
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
  eventually 60 client version
}
client() { /usr/bin/ctr --address "$work/containerd.sock" --namespace "ctr-test-$$" "$@"; }

# dockerd of its own, without networks; `docker` is its command line. Needs the package docker.io.
start_dockerd() {
  need_program dockerd
  dockerd --host "unix://$work/docker.sock" --data-root "$work/dockerd" --exec-root "$work/dockerd-run" \
    --pidfile "$work/dockerd.pid" --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
    --cgroup-parent "/ctr-test-docker-$$" >"$work/dockerd.log" 2>&1 &
  started_pids+=($!)
  eventually 90 docker version
}
docker() { env -u DOCKER_CONFIG HOME="$work" DOCKER_HOST="unix://$work/docker.sock" /usr/bin/docker "$@"; }

# podman with a store of its own. Needs the package podman.
podman() {
  if [ ! -e "$work/policy.json" ]; then
    echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$work/policy.json"
    printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' "$work/podman" "$work/podman-run" >"$work/storage.conf"
    printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' >"$work/containers.conf"
  fi
  CONTAINERS_STORAGE_CONF=$work/storage.conf CONTAINERS_CONF=$work/containers.conf command podman "$@"
}
