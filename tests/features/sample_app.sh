#!/usr/bin/env bash
# The main job: build from a Dockerfile, cache, run with a port, push to a registry with a password, pull it back.
# The image's base is busybox with its httpd here; the quickstart does the same with Node.js.
. "$(dirname "$0")/lib.bash"
need_containers
need_program docker-registry htpasswd curl jq
busybox_image

mkdir "$work/app"
cat >"$work/app/Dockerfile" <<D
FROM busybox
WORKDIR /srv/www
COPY index.html .
EXPOSE 8080
USER nobody
CMD ["httpd", "-f", "-p", "8080"]
D
echo 'Hello, World!' >"$work/app/index.html"

# is_cached STEP FILE: whether the step with that mark ended as CACHED.
is_cached() { grep -qxF "#$(grep -F "[$1]" "$2" | head -1 | sed 's/^#\([0-9]*\) .*/\1/') CACHED" "$2"; }

ctr build --progress plain -t sample-app:v1 "$work/app" 2>"$work/build1"
has "$(cat "$work/build1")" "[2/3] WORKDIR /srv/www"
ctr build --progress plain -t sample-app:v1 "$work/app" 2>"$work/build2"
is_cached 2/3 "$work/build2"
is_cached 3/3 "$work/build2"
id=$(ctr images -q --no-trunc sample-app:v1)
is "$(ctr build -q "$work/app")" "$id" "image id of an unchanged build"
echo 'Hello, again!' >"$work/app/index.html"
ctr build --progress plain -t sample-app:v2 "$work/app" 2>"$work/build3"
is_cached 2/3 "$work/build3"
if is_cached 3/3 "$work/build3"; then fail "COPY was cached after an edit"; fi
is "$(ctr inspect -f '{{json .Config.ExposedPorts}}' sample-app:v1)" '{"8080/tcp":{}}'

port=$(free_port)
app=$(ctr run -d --init --name app -p "$port:8080" sample-app:v1)
eventually 5 curl -fsS "http://localhost:$port/"
is "$(curl -fsS "http://localhost:$port/")" "Hello, World!"
has "$(ctr ps --format '{{.Ports}}')" "0.0.0.0:$port->8080/tcp"
status_is 125 ctr run --rm -p "$port:8080" sample-app:v1
has "$(cat "$work/err")" "${app:0:12}" "the holder of the port"
ctr rm -f app >/dev/null
if curl -s --max-time 2 "http://localhost:$port/"; then fail "the port still answers"; fi

registry_port=$(free_port)
htpasswd -Bbn developer secret >"$work/htpasswd" 2>/dev/null
cat >"$work/registry.yml" <<Y
version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "127.0.0.1:$registry_port"}
auth: {htpasswd: {realm: test, path: $work/htpasswd}}
Y
docker-registry serve "$work/registry.yml" >>"$work/registry.log" 2>&1 &
started_pids+=($!)
eventually 5 curl -s "http://127.0.0.1:$registry_port/v2/"
repository=127.0.0.1:$registry_port/sample-app
requests() { grep -oE '"(GET|HEAD|POST|PUT|PATCH) [^"]*" [0-9]+' "$work/registry.log" | grep -cE "$1" || true; }

ctr tag sample-app:v1 "$repository:v1"
status_is 1 ctr push "$repository:v1"
status_is 1 bash -c "echo wrong | '$CTR' login --username developer --password-stdin '$repository'"
is "$(echo secret | ctr login --username developer --password-stdin "$repository" 2>/dev/null)" "Login Succeeded"
is "$(jq -r '.auths | keys[]' "$DOCKER_CONFIG/config.json")" "127.0.0.1:$registry_port"
ctr push "$repository:v1" >"$work/push1"
has "$(cat "$work/push1")" "v1: digest: sha256:"

: >"$work/registry.log"
ctr tag sample-app:v2 "$repository:v2"
ctr push "$repository:v2" >"$work/push2"
has "$(cat "$work/push2")" "Layer already exists"
is "$(requests '^"PUT .*/blobs/uploads/.* 201')" 2 "blob uploads of v2"
is "$(requests '^"PUT .*/manifests/.* 201')" 1 "manifest puts of v2"
: >"$work/registry.log"
ctr push "$repository:v2" >/dev/null
is "$(requests '^"(PUT|POST|PATCH) ')" 0 "writes of a second push"

CTR_ROOT=$work/store2 CTR_RUN=$work/run2 ctr pull "$repository:v2" >"$work/pull"
has "$(cat "$work/pull")" "Status: Downloaded newer image for $repository:v2"
is "$(CTR_ROOT=$work/store2 CTR_RUN=$work/run2 ctr run --rm --network none "$repository:v2" cat index.html)" "Hello, again!"
is "$(CTR_ROOT=$work/store2 CTR_RUN=$work/run2 ctr pull "$repository:v2" | tail -2 | head -1)" "Status: Image is up to date for $repository:v2"
CTR_ROOT=$work/store2 CTR_RUN=$work/run2 ctr system reset --force >/dev/null
is "$(ctr logout "$repository")" "Removing login credentials for 127.0.0.1:$registry_port"
