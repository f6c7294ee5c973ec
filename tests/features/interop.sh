#!/usr/bin/env bash
# What ctr saves, skopeo, podman, docker and containerd's import load, and containerd runs app.js from it; what they save,
# ctr loads. An image keeps its id, the digest of its config, on every way.
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/peers.bash"
need_root "it starts docker, containerd and podman of the machine"
need_program skopeo podman dockerd containerd jq
CTR_BASE_CACHE=${CTR_BASE_CACHE:-$work/base} "$here/scripts/base-images" --ctr "$CTR" --arch amd64 node >"$work/base.log" 2>&1 ||
  { cat "$work/base.log"; skip "needs Debian's and npm's packages for node:21.7"; }
ctr build -q -t sample-app:v1 "$here/testdata/sample-app" >/dev/null
id=$(ctr images -q --no-trunc sample-app:v1)

# Out of ctr.
ctr save -o "$work/app.tar" sample-app:v1
gzip -1 -k "$work/app.tar"
zstd -q -1 "$work/app.tar" -o "$work/app.tar.zst"
skopeo inspect --config "docker-archive:$work/app.tar" >"$work/config"
is "sha256:$(skopeo inspect --raw --config "docker-archive:$work/app.tar" | sha256sum | cut -d' ' -f1)" "$id" "skopeo's view"
is "$(jq -c .config.ExposedPorts "$work/config")" '{"8080/tcp":{}}' "ports by skopeo"
mkdir "$work/layout"
tar -C "$work/layout" -xf "$work/app.tar"
skopeo copy -q "oci:$work/layout" "dir:$work/dir"
rm -r "$work/layout" "$work/dir"

podman load -q -i "$work/app.tar" >/dev/null
is "$(podman images -q --no-trunc sample-app:v1)" "$id" "podman's id"

start_dockerd
docker load -q -i "$work/app.tar.gz" >"$work/loaded"
has "$(cat "$work/loaded")" "sample-app:v1" "docker load"
is "$(docker images -q --no-trunc sample-app:v1)" "$id" "docker's id"

start_containerd
client images import --no-unpack "$work/app.tar" >/dev/null
client images import "$work/app.tar" >/dev/null
name=$(client images list -q | grep sample-app:v1)
client run -d --net-host "$name" app node -e '
  process.env.PORT = "0"; const http = require("http"); const listen = http.Server.prototype.listen;
  http.Server.prototype.listen = function () { return listen.call(this, "/tmp/app.sock"); }; require("/home/node/app/app.js");'
app_says() { client tasks exec --exec-id "e$RANDOM" app node -e '
  require("http").get({socketPath: "/tmp/app.sock"}, (r) => r.pipe(process.stdout)).on("error", () => process.exit(1));'; }
eventually 60 app_says
has "$(app_says)" "Hello, World!" "app.js under containerd"
client tasks kill --signal SIGKILL app
eventually 30 sh -c "! /usr/bin/ctr --address '$work/containerd.sock' --namespace ctr-test-$$ tasks list | grep -q RUNNING"
client tasks delete app >/dev/null 2>&1 || true
client containers delete app

# Into ctr.
podman save -q --format docker-archive -o "$work/p1.tar" sample-app:v1
podman save -q --format oci-archive -o "$work/p2.tar" sample-app:v1
docker save -o "$work/d1.tar" sample-app:v1
client images export "$work/c1.tar" "$name"
skopeo copy -q "docker-archive:$work/app.tar" "oci-archive:$work/s1.tar:sample-app:v1"
for archive in app.tar app.tar.gz app.tar.zst p1.tar p2.tar d1.tar c1.tar s1.tar; do
  rm -rf "$work/other"
  CTR_ROOT=$work/other CTR_RUN=$work/other-run ctr load -i "$work/$archive" >"$work/loaded" 2>"$work/err" || { cat "$work/err"; fail "load $archive"; }
  has "$(cat "$work/loaded")" "Loaded image" "$archive"
  loaded=$(CTR_ROOT=$work/other CTR_RUN=$work/other-run ctr images -q --no-trunc | head -1)
  # podman's and skopeo's OCI archives hold the config in other words; its layers are the same.
  case $archive in p2.tar | s1.tar) ;; *) is "$loaded" "$id" "the id after $archive" ;; esac
  is "$(CTR_ROOT=$work/other CTR_RUN=$work/other-run ctr run --rm --network none "$loaded" node -p 1+1)" 2 "a run from $archive"
  CTR_ROOT=$work/other CTR_RUN=$work/other-run ctr system reset --force >/dev/null
done
