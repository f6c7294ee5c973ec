#!/usr/bin/env bash
# buildx bake from HCL, JSON and Compose files: variables, groups, inheritance, --set, --print, --list, targets that
# build on targets, and what is refused by name. Without RUN, so it needs neither root nor a base image.
. "$(dirname "$0")/lib.bash"
need_program jq

mkdir -p "$work/bake/app" "$work/bake/db" && cd "$work/bake"
printf 'FROM scratch\nARG VERSION=none\nLABEL version=$VERSION\nCOPY a /a\n' >app/Dockerfile
printf 'FROM scratch AS base\nCOPY a /a\nFROM base\nCOPY a /b\n' >db/Dockerfile
echo a >app/a && echo a >db/a
label() { ctr image inspect -f '{{index .Config.Labels "version"}}' "$1"; }

# No file at all: one sentence, exit 1.
status_is 1 ctr buildx bake
has "$(cat "$work/err")" "couldn't find a bake definition"

cat >docker-bake.hcl <<'H'
variable "TAG" { default = "latest" }
group "default" { targets = ["app", "db"] }
target "common" {
  args = { VERSION = "1-${TAG}" }
  platforms = []
}
target "app" {
  inherits = ["common"]
  context = "app"
  tags = ["bake-app:${TAG}"]
}
target "db" {
  context = "db"
  tags = ["bake-db:${TAG}"]
}
target "derived" {
  contexts = { start = "target:app" }
  dockerfile-inline = "FROM start\nCOPY a /again\n"
  context = "db"
  tags = ["bake-derived"]
}
H
is "$(TAG=7 ctr buildx bake --print | jq -c '.target.app')" \
  '{"context":"app","dockerfile":"Dockerfile","args":{"VERSION":"1-7"},"tags":["bake-app:7"]}' print
is "$(ctr buildx bake --print | jq -c '.group.default.targets')" '["app","db"]' groups
has "$(ctr buildx bake --list targets)" "derived"
has "$(ctr buildx bake --list=variables)" "TAG"
TAG=7 ctr buildx bake --progress plain --metadata-file "$work/meta.json" 2>"$work/out"
grep -q '\[app 1/1\] COPY a /a' "$work/out" || fail "no step with its target's name: $(cat "$work/out")"
is "$(label bake-app:7)" 1-7
ctr image inspect bake-db:7 >/dev/null
is "$(jq -r '.app."containerimage.config.digest"' "$work/meta.json")" "$(ctr image inspect -f '{{.Id}}' bake-app:7)" "metadata of app"
is "$(jq -r '.db."image.name"' "$work/meta.json")" "docker.io/library/bake-db:7"

# --set over the files, by pattern and by name; --var over defaults; one target alone.
ctr buildx bake --set '*.args.VERSION=set' --set app.tags=bake-set:1 app 2>/dev/null
is "$(label bake-set:1)" set
ctr buildx bake --var TAG=fromvar app 2>/dev/null
is "$(label bake-app:fromvar)" 1-fromvar
# A target on a target: its image is the other's context, its Dockerfile stands in the bake file.
ctr buildx bake derived 2>/dev/null
is "$(label bake-derived)" 1-latest "what the derived image has from its base"
is "$(ctr image inspect -f '{{len .RootFS.Layers}}' bake-derived)" 2
has_not "$(ctr images -a --format '{{.Repository}}')" "<none>" "a target that only others need leaves no image"
# --check, --no-cache.
status_is 0 ctr buildx bake --check app
has "$(cat "$work/out")" "Check complete"
ctr buildx bake --no-cache --progress plain app 2>"$work/out"
has_not "$(cat "$work/out")" CACHED
# --load says once that there is nothing to do.
ctr buildx bake --load --progress plain 2>"$work/out"
is "$(grep -c -- '--load does nothing here' "$work/out")" 1

# What is not there yet is refused by name, and so is what is misspelt.
printf 'target "default" { tags = [upper("x")] }\n' >f.hcl
status_is 1 ctr buildx bake -f f.hcl
has "$(cat "$work/err")" upper
printf 'target "default" { matrix = { a = ["1"] } }\n' >f.hcl
status_is 1 ctr buildx bake -f f.hcl
has "$(cat "$work/err")" "matrix"
printf 'target "default" { contxt = "." }\n' >f.hcl
status_is 1 ctr buildx bake -f f.hcl
has "$(cat "$work/err")" 'did you mean'
status_is 1 ctr buildx bake nothing
has "$(cat "$work/err")" nothing
printf 'target "default" {\n  context = "app"\n  entitlements = ["network.host"]\n}\n' >f.hcl
status_is 1 ctr buildx bake -f f.hcl
has "$(cat "$work/err")" "--allow network.host"
status_is 0 ctr buildx bake -f f.hcl --allow network.host
status_is 125 ctr buildx bake https://example.org/x.git
# A step that fails ends the bake with its target's failure.
printf 'FROM scratch\nCOPY nothing /\n' >app/Bad
status_is 1 ctr buildx bake --set app.dockerfile=Bad
has "$(cat "$work/err")" "failed to solve"

# JSON, several files over each other, and the override file without -f.
rm docker-bake.hcl
echo '{"variable": {"V": {"default": "json"}}, "target": {"default": {"context": "app", "args": {"VERSION": "${V}"}, "tags": ["bake-json"]}}}' >docker-bake.json
ctr buildx bake 2>/dev/null
is "$(label bake-json)" json
echo '{"target": {"default": {"args": {"VERSION": "over"}}}}' >docker-bake.override.json
ctr buildx bake 2>/dev/null
is "$(label bake-json)" over
ctr buildx bake -f docker-bake.json 2>/dev/null
is "$(label bake-json)" json "-f reads what it names alone"
ctr builder bake -f - --print <docker-bake.json | jq -e '.target.default' >/dev/null
rm docker-bake*.json

# Compose: services with a build; `.env` and the environment.
echo VER=dotenv >.env
cat >docker-compose.yml <<'Y'
services:
  web:
    image: bake-web
    build:
      context: app
      args:
        VERSION: ${VER}
  cache:
    image: redis
Y
ctr buildx bake 2>/dev/null
is "$(label bake-web)" dotenv
VER=environment ctr buildx bake web 2>/dev/null
is "$(label bake-web)" environment
