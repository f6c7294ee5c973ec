#!/usr/bin/env bash
# The story's two buildx commands: a named builder, one build for two platforms, one index in the store and in a registry.
. "$(dirname "$0")/lib.bash"
need_containers
need_program docker-registry curl jq

is "$(ctr buildx create --use --platform=linux/amd64,linux/arm64 --name multi-platform-builder)" multi-platform-builder
status_is 1 ctr buildx create --name multi-platform-builder
has "$(cat "$work/err")" 'existing instance for "multi-platform-builder" but no append mode'
ctr buildx create --append --name multi-platform-builder >/dev/null
has "$(ctr buildx ls)" "multi-platform-builder*"
has "$(ctr buildx inspect)" "linux/amd64, linux/arm64"

mkdir "$work/app"
cat >"$work/app/Dockerfile" <<'D'
FROM scratch
ARG TARGETARCH
WORKDIR /srv
COPY app-$TARGETARCH /srv/app
COPY common /srv/
LABEL arch=$TARGETARCH
CMD ["/srv/app"]
D
echo amd64 >"$work/app/app-amd64"
echo arm64 >"$work/app/app-arm64"
echo common >"$work/app/common"
ctr buildx build --platform=linux/amd64,linux/arm64 -t sample-app:v3 "$work/app" 2>"$work/build"
is "$(ctr image inspect --platform linux/amd64 -f '{{.Architecture}} {{index .Config.Labels "arch"}}' sample-app:v3)" "amd64 amd64"
is "$(ctr image inspect --platform linux/arm64 -f '{{.Architecture}} {{index .Config.Labels "arch"}}' sample-app:v3)" "arm64 arm64"
# A builder's platforms never become the default of a build.
ctr buildx build -t single "$work/app" 2>/dev/null
is "$(ctr image inspect -f '{{.Architecture}}' single)" "$(ctr version -f '{{.Server.Arch}}')"

port=$(free_port)
cat >"$work/registry.yml" <<Y
version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "127.0.0.1:$port"}
Y
docker-registry serve "$work/registry.yml" >>"$work/registry.log" 2>&1 &
started_pids+=($!)
eventually 5 curl -s "http://127.0.0.1:$port/v2/"
repository=127.0.0.1:$port/sample-app
ctr tag sample-app:v3 "$repository:v3"
ctr push "$repository:v3" >"$work/push"
index=$(curl -fsS -H 'Accept: application/vnd.oci.image.index.v1+json' "http://$repository/manifests/v3" 2>/dev/null ||
  curl -fsS -H 'Accept: application/vnd.oci.image.index.v1+json' "http://127.0.0.1:$port/v2/sample-app/manifests/v3")
is "$(echo "$index" | jq -r '[.manifests[].platform.architecture] | sort | join(",")')" "amd64,arm64"
for digest in $(echo "$index" | jq -r '.manifests[].digest'); do
  want=$(echo "$index" | jq -r --arg d "$digest" '.manifests[] | select(.digest == $d) | .platform.architecture')
  config=$(curl -fsS -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://127.0.0.1:$port/v2/sample-app/manifests/$digest" | jq -r .config.digest)
  is "$(curl -fsS "http://127.0.0.1:$port/v2/sample-app/blobs/$config" | jq -r .architecture)" "$want"
done
: >"$work/registry.log"
ctr push "$repository:v3" >/dev/null
if grep -aqE '"(PUT|POST|PATCH) ' "$work/registry.log"; then fail "a second push sent something"; fi
ctr buildx rm multi-platform-builder >/dev/null
has_not "$(ctr buildx ls)" multi-platform
