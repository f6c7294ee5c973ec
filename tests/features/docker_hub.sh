#!/usr/bin/env bash
# docker.io by its own names over TLS: a double plays registry-1.docker.io, auth.docker.io and the host that blobs are
# redirected to. Bearer tokens, short names, Docker's words, limits, a private repository.
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/registry_doubles.bash"
need_program curl jq
in_own_namespaces
play registry-1.docker.io auth.docker.io production.cloudflare.docker.com

# Without the test's authority nothing is believed.
status_is 125 ctr run --rm --network none ubuntu:24.04 true
has "$(cat "$work/err")" "certificate signed by unknown authority"
has "$(cat "$work/err")" "Unable to find image 'ubuntu:24.04' locally"

# The authority joins the system's, in this namespace.
cat /etc/ssl/certs/ca-certificates.crt "$work/ca.pem" >"$work/authorities.pem"
mount --bind "$work/authorities.pem" /etc/ssl/certs/ca-certificates.crt

# What the registry has: an index for two platforms, from a store of its own.
origin_image "$backend/library/ubuntu:24.04" "$backend/library/ubuntu:latest"
digest=$(curl -sI -H "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json" \
  "http://$backend/v2/library/ubuntu/manifests/24.04" | tr -d '\r' | sed -n 's/^docker-content-digest: //ip')

echo "run: pulls, and its stdout is the container's alone"
arch=$(ctr run --rm --network none ubuntu:24.04 2>"$work/err")
is "$arch" amd64
has "$(cat "$work/err")" "Unable to find image 'ubuntu:24.04' locally"
has "$(cat "$work/err")" "24.04: Pulling from library/ubuntu"
has "$(cat "$work/err")" ": Pull complete"
has "$(cat "$work/err")" "Digest: $digest"
has "$(cat "$work/err")" "Status: Downloaded newer image for ubuntu:24.04"
LC_ALL=C grep -q $'[\x01-\x08\x0b-\x1f]' "$work/err" && fail "control characters without a terminal"
has "$(cat "$state/log")" "GET auth.docker.io /token 200 -"
has "$(cat "$state/log")" "GET registry-1.docker.io /v2/library/ubuntu/manifests/24.04 200 Bearer"
# The blobs came from another host, without a token.
grep -q '^GET production.cloudflare.docker.com /[0-9a-f]* 200 -$' "$state/log" || fail "no blob came by redirection"
grep -q 'production.cloudflare.docker.com .* Bearer' "$state/log" && fail "the token followed a redirection"
# One token for one repository.
is "$(grep -c 'auth.docker.io' "$state/log")" 1 "token requests"

echo "a name in any spelling is the same image"
for name in ubuntu:24.04 library/ubuntu:24.04 docker.io/ubuntu:24.04 docker.io/library/ubuntu:24.04 index.docker.io/library/ubuntu:24.04; do
  : >"$state/log"
  has "$(ctr pull "$name")" "Status: Image is up to date for ubuntu:24.04" "$name"
  has_not "$(cat "$state/log")" "GET registry-1" "$name: HEAD is enough"
done
is "$(ctr images --format '{{.Repository}}:{{.Tag}}' ubuntu)" ubuntu:24.04

echo "pull: Docker's words on stdout"
ctr rmi -f ubuntu:24.04 >/dev/null
ctr pull ubuntu >"$work/out" 2>"$work/err"
is "$(head -1 "$work/out")" "Using default tag: latest"
is "$(sed -n 2p "$work/out")" "latest: Pulling from library/ubuntu"
is "$(tail -1 "$work/out")" "docker.io/library/ubuntu:latest"
is "$(cat "$work/err")" ""
is "$(ctr pull -q "ubuntu@$digest")" "docker.io/library/ubuntu@$digest"

echo "build: FROM pulls"
ctr rmi -f ubuntu:latest >/dev/null
printf 'FROM ubuntu:24.04\nCOPY Dockerfile /\nCMD ["/bin/busybox", "cat", "/arch"]\n' >"$work/Dockerfile"
ctr build -t app "$work" >"$work/out" 2>&1
has "$(cat "$work/out")" "docker.io/library/ubuntu:24.04"
is "$(ctr run --rm --network none app)" amd64

echo "what is not there, and what is not ours"
status_is 1 ctr pull nosuchimage
has "$(cat "$work/err")" "pull access denied for nosuchimage, repository does not exist or may require 'docker login'"
status_is 1 ctr pull ubuntu:nosuchtag
has "$(cat "$work/err")" "manifest for ubuntu:nosuchtag not found: manifest unknown"
ctr tag app notours:1
status_is 1 ctr push notours:1
has "$(cat "$work/err")" "denied: requested access to the resource is denied"
ctr rmi notours:1 >/dev/null

echo "login, a private repository, logout"
status_is 1 ctr login -u user -p wrong
has "$(cat "$work/err")" "incorrect username or password"
[ ! -e "$DOCKER_CONFIG/config.json" ] || has_not "$(cat "$DOCKER_CONFIG/config.json")" auth
echo secret | ctr login -u user --password-stdin >"$work/out" 2>/dev/null
is "$(tail -1 "$work/out")" "Login Succeeded"
is "$(jq -r '.auths | keys[0]' "$DOCKER_CONFIG/config.json")" "https://index.docker.io/v1/"
ctr tag app user/app:1
has "$(ctr push user/app:1)" "1: digest: sha256:"
ctr rmi -f app user/app:1 >/dev/null
is "$(ctr run --rm --network none user/app:1 2>/dev/null)" amd64
is "$(ctr tags user/app)" 1
ctr logout >/dev/null
ctr rmi -f user/app:1 >/dev/null
status_is 1 ctr pull user/app:1
has "$(cat "$work/err")" "pull access denied for user/app"

echo "a limit is shown with its numbers; a token that ends is renewed"
settings '{"limit_reached": true}'
ctr rmi -f ubuntu:24.04 >/dev/null
status_is 1 ctr pull ubuntu:24.04
has "$(cat "$work/err")" "toomanyrequests: You have reached your pull rate limit"
has "$(cat "$work/err")" "100;w=21600"
settings '{"token_uses": 3}'
: >"$state/log"
ctr pull -q ubuntu:24.04 >/dev/null
[ "$(grep -c 'auth.docker.io' "$state/log")" -gt 1 ] || fail "no token was renewed"

echo "no token in errors or traces"
settings '{}'
ctr rmi -f ubuntu:24.04 >/dev/null
ctr -D --trace "$work/trace" pull ubuntu:24.04 >"$work/out" 2>&1
cat "$work/trace" "$work/out" | grep -q 'hub-token-' && fail "a token was written down"
cat "$work/trace" "$work/out" | grep -q 'verify=' && fail "a signed URL was written down"
exit 0
