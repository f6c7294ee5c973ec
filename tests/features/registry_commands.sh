#!/usr/bin/env bash
# tags, delete, inspect --remote, push -a, pull -a, --platform, -q; the daily mirror job: pull, retag, push of an image
# for two platforms; what is refused by name.
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/registry_doubles.bash"
need_containers
need_program curl jq
serve() { # NAME: host of a registry of that name, which may be started again
  [ -e "$work/$1.port" ] || free_port >"$work/$1.port"
  "$CTR" registry serve --listen "127.0.0.1:$(cat "$work/$1.port")" --root "$work/$1" >"$work/$1.log" 2>&1 &
  registry_pid=$!
  started_pids+=($registry_pid)
  host=127.0.0.1:$(cat "$work/$1.port")
  eventually 30 curl -s "http://$host/v2/"
}
serve second
second=$host
serve first
first=$host
origin_image "$first/app:1"

echo "inspect --remote: Docker's document without a pull"
is "$(ctr inspect --remote --format '{{.Os}}/{{.Architecture}} {{len .RootFS.Layers}}' "$first/app:1")" "linux/amd64 2"
is "$(ctr image inspect --remote --platform linux/arm64 --format '{{.Architecture}}' "$first/app:1")" arm64
ctr inspect --remote "$first/app:1" >"$work/document"
is "$(jq -r '.[0].Descriptor.mediaType' "$work/document")" application/vnd.oci.image.index.v1+json
is "$(jq -r '.[0].Manifests | map(.Descriptor.platform.architecture) | join(",")' "$work/document")" amd64,arm64
is "$(jq -r '.[0].Config.Cmd | join(" ")' "$work/document")" "/bin/busybox cat /arch"
index=$(jq -r '.[0].Descriptor.digest' "$work/document")
is "$(jq -r '.[0].RepoDigests[0]' "$work/document")" "$first/app@$index"
is "$(ctr images -q)" "" "nothing was stored"
status_is 1 ctr inspect --remote --platform linux/s390x "$first/app:1"
has "$(cat "$work/err")" "the image has linux/amd64, linux/arm64"
status_is 1 ctr inspect --remote "$first/app:nosuch"
has "$(cat "$work/err")" "not found"
status_is 125 ctr inspect --remote --type container "$first/app:1"
status_is 125 ctr inspect --platform linux/arm64 x

echo "out of reach of the registry that it came from, the present platform is pushed alone, and that is said"
ctr rmi -f "$first/app:1" >/dev/null
ctr pull -q "$first/app:1" >/dev/null
kill "$registry_pid"
wait "$registry_pid" 2>/dev/null || true
ctr tag "$first/app:1" "$second/alone:1"
ctr push "$second/alone:1" >"$work/out" 2>"$work/err"
is "$(ctr inspect --remote --format '{{.Descriptor.mediaType}}' "$second/alone:1")" application/vnd.oci.image.manifest.v1+json
has "$(cat "$work/err")" "linux/arm64 is not here"
has "$(cat "$work/err")" "$index"
has "$(cat "$work/err")" "$(ctr inspect --remote --format '{{.Descriptor.digest}}' "$second/alone:1")"
serve first

echo "pull: --platform, -q; only that platform's blobs"
is "$(ctr pull -q --platform linux/arm64 "$first/app:1")" "$first/app:1"
is "$(ctr inspect --type image --platform linux/arm64 --format '{{.Architecture}}' "$first/app:1")" arm64
has "$(ctr pull --platform linux/amd64 "$first/app:1")" "Digest: $index"

echo "the mirror job: the whole index is copied from where it came"
ctr tag "$first/app:1" "$second/mirror:1"
has "$(ctr push "$second/mirror:1")" "1: digest: $index size: "
is "$(ctr inspect --remote --platform linux/arm64 --format '{{.Architecture}}' "$second/mirror:1")" arm64
for digest in $(curl -s -H 'Accept: application/vnd.oci.image.index.v1+json' "http://$second/v2/mirror/manifests/1" | jq -r '.manifests[].digest'); do
  curl -sf -o "$work/manifest" -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$second/v2/mirror/manifests/$digest"
  for blob in $(jq -r '.config.digest, .layers[].digest' "$work/manifest"); do
    curl -sfI "http://$second/v2/mirror/blobs/$blob" >/dev/null || fail "the index has a hole: $blob"
  done
done
echo "with --platform a plain manifest, with both digests said"
ctr tag "$first/app:1" "$second/plain:1"
ctr push --platform linux/amd64 "$second/plain:1" >"$work/out" 2>"$work/err"
plain=$(ctr inspect --remote --format '{{.Descriptor.digest}}' "$second/plain:1")
has "$(cat "$work/out")" "1: digest: $plain"
has "$(cat "$work/err")" "linux/amd64"
has "$(cat "$work/err")" "$plain"
has "$(cat "$work/err")" "$index"
echo "push -a and pull -a: all tags, and none besides"
for tag in 1 2 3; do ctr tag "$first/app:1" "$second/all:$tag"; done
ctr tag "$first/app:1" "$second/all-but:9"
has "$(ctr push -a "$second/all")" "3: digest: $index"
is "$(ctr tags "$second/all" | tr '\n' ' ')" "1 2 3 "
status_is 1 ctr push -a "$second/all:1"
ctr rmi -f "$second/all:1" "$second/all:2" "$second/all:3" >/dev/null
ctr pull -a -q "$second/all" >"$work/out"
is "$(tr '\n' ' ' <"$work/out")" "$second/all:1 $second/all:2 $second/all:3 "
is "$(ctr images --format '{{.Tag}}' "$second/all" | sort | tr '\n' ' ')" "1 2 3 "
status_is 1 ctr pull -a "$second/all:1"
status_is 1 ctr push "$second/none"

echo "delete: a tag, or a digest with all its tags; never an assumed one"
status_is 1 ctr delete "$second/all"
has "$(cat "$work/err")" "give a tag or a digest"
is "$(ctr delete "$second/all:1" "$second/all:2")" "Untagged: $second/all:1
Untagged: $second/all:2"
is "$(ctr tags "$second/all")" 3
is "$(ctr delete "$second/all@$index")" "Deleted: $second/all@$index"
status_is 1 ctr delete "$second/all:3"
has "$(cat "$work/err")" "manifest unknown"

echo "what is not there yet is refused by name"
status_is 1 ctr search ubuntu
has "$(cat "$work/err")" "'search'"
status_is 1 ctr copy "dir:$work" "$second/x:1"
has "$(cat "$work/err")" "dir:"
status_is 125 ctr pull --signature-policy "$work/policy.json" "$second/mirror:1"
has "$(cat "$work/err")" "--signature-policy"
status_is 125 ctr pull --lock-file x "$second/mirror:1"
has "$(cat "$work/err")" "--lock-file"
status_is 125 ctr registry serve --mirror https://registry-1.docker.io
has "$(cat "$work/err")" "mirror is not there yet"
for command in tags delete "inspect" "image inspect" pull push copy "registry serve" "registry garbage-collect"; do
  # shellcheck disable=SC2086
  has "$(ctr $command --help)" "Usage:" "$command"
done
has "$(ctr push --help)" "--create"
has "$(ctr inspect --help)" "--remote"
has "$(ctr __complete -- push)" "--create"
has "$(ctr __complete --)" "delete"
