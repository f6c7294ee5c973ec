#!/usr/bin/env bash
# buildx imagetools and manifest against a real registry: indexes looked at, put together, retagged and moved between
# repositories without the images coming here.
. "$(dirname "$0")/lib.bash"
need_program docker-registry curl jq

port=$(free_port)
cat >"$work/registry.yml" <<Y
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "127.0.0.1:$port"}
Y
docker-registry serve "$work/registry.yml" >>"$work/registry.log" 2>&1 &
started_pids+=($!)
eventually 10 curl -s "http://127.0.0.1:$port/v2/"
host=127.0.0.1:$port

mkdir "$work/app" && cd "$work/app"
printf 'FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY Dockerfile /\n' >Dockerfile
for arch in amd64 arm64; do
  ctr build -q --platform linux/$arch -t "$host/app:$arch" . >/dev/null
  ctr push -q "$host/app:$arch" >/dev/null
done
raw() { ctr buildx imagetools inspect --raw "$host/$1"; }
digest() { ctr buildx imagetools inspect --format '{{.Manifest.Digest}}' "$host/$1"; }

# inspect: words, raw bytes, templates in both spellings.
has "$(ctr buildx imagetools inspect "$host/app:amd64")" "Digest:    $(digest app:amd64)"
is "$(digest app:amd64)" "sha256:$(raw app:amd64 | sha256sum | cut -d' ' -f1)" "raw is byte for byte"
is "$(ctr buildx imagetools inspect --format '{{json .Image}}' "$host/app:arm64" | jq -r .architecture)" arm64
is "$(ctr buildx imagetools inspect --format '{{.Image.Config.Labels.arch}}' "$host/app:arm64")" arm64
status_is 1 ctr buildx imagetools inspect "$host/app:none"

# create: two images become one index; --dry-run sends nothing.
ctr buildx imagetools create --dry-run -t "$host/app:multi" "$host/app:amd64" "$host/app:arm64" | jq -e '.manifests | length == 2' >/dev/null
status_is 1 ctr buildx imagetools inspect "$host/app:multi"
ctr buildx imagetools create -t "$host/app:multi" -t "$host/app:again" --annotation index:org.example=yes \
  --annotation 'manifest-descriptor[linux/arm64]:only=arm' --metadata-file "$work/meta.json" "$host/app:amd64" "$host/app:arm64" 2>"$work/err"
is "$(raw app:multi | jq -r '[.manifests[].platform.architecture] | join(",")')" "amd64,arm64"
is "$(raw app:multi | jq -r '.annotations["org.example"]')" yes
is "$(raw app:multi | jq -r '.manifests[1].annotations.only')" arm
is "$(digest app:again)" "$(digest app:multi)" "the second tag"
is "$(jq -r '."containerimage.descriptor".digest' "$work/meta.json")" "$(digest app:multi)"
has "$(ctr buildx imagetools inspect "$host/app:multi")" "Platform:  linux/arm64"
is "$(ctr buildx imagetools inspect --format '{{json .Image}}' "$host/app:multi" | jq -r 'keys | join(",")')" "linux/amd64,linux/arm64"
# Another repository: blobs come along; one index alone is copied byte for byte.
ctr buildx imagetools create -t "$host/other:copy" "$host/app:multi" 2>/dev/null
is "$(digest other:copy)" "$(digest app:multi)"
ctr pull -q --platform linux/arm64 "$host/other:copy" >/dev/null
# --append, -f with a descriptor, a digest alone, --platform, --prefer-index=false.
ctr buildx imagetools create -t "$host/app:grow" "$host/app:amd64" 2>/dev/null
is "$(raw app:grow | jq '.manifests | length')" 1 "one manifest becomes an index"
ctr buildx imagetools create --append -t "$host/app:grow" "$(digest app:arm64)" 2>/dev/null
is "$(raw app:grow | jq '.manifests | length')" 2
jq '."containerimage.descriptor"' "$work/meta.json" >"$work/descriptor.json"
ctr buildx imagetools create -t "$host/app:file" -f "$work/descriptor.json" 2>/dev/null
is "$(raw app:file | jq '.manifests | length')" 2
ctr buildx imagetools create -t "$host/app:part" --platform linux/arm64 "$host/app:multi" 2>/dev/null
is "$(raw app:part | jq -r '[.manifests[].platform.architecture] | join(",")')" arm64
ctr buildx imagetools create --prefer-index=false -t "$host/app:plain" "$host/app:amd64" 2>/dev/null
is "$(digest app:plain)" "$(digest app:amd64)"
status_is 1 ctr buildx imagetools create "$host/app:amd64"
has "$(cat "$work/err")" "no tags specified"
status_is 1 ctr buildx imagetools create -t "$host/app:x" --annotation 'nonsense:a=b' "$host/app:amd64"

# manifest: create, annotate, inspect, push, rm.
is "$(ctr manifest create "$host/app:list" "$host/app:amd64" "$host/app:arm64")" "Created manifest list $host/app:list"
status_is 1 ctr manifest create "$host/app:list" "$host/app:amd64"
has "$(cat "$work/err")" "refusing to amend an existing manifest list with no --amend flag"
ctr manifest create --amend "$host/app:list" "$host/app:amd64" >/dev/null
ctr manifest annotate --os linux --arch arm64 --variant v8 --os-features a,b "$host/app:list" "$host/app:arm64"
is "$(ctr manifest inspect "$host/app:list" | jq -c '[.manifests[].platform.variant]')" '[null,"v8"]'
status_is 1 ctr manifest annotate --os linux "$host/app:list" "$host/app:none"
has "$(cat "$work/err")" "does not exist in"
pushed=$(ctr manifest push -p "$host/app:list" 2>/dev/null)
is "$(digest app:list)" "$pushed"
is "$(ctr manifest inspect "$host/app:list" | jq '.manifests | length')" 2 "from the registry, for the local list is purged"
is "$(ctr manifest inspect -v "$host/app:list" | jq -r '.[1].Descriptor.platform.variant')" v8
ctr manifest create "$host/app:gone" "$host/app:amd64" >/dev/null
ctr manifest rm "$host/app:gone"
status_is 1 ctr manifest rm "$host/app:gone"
has "$(cat "$work/err")" "No such manifest"
status_is 1 ctr manifest push "$host/app:gone"
