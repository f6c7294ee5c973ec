#!/usr/bin/env bash
# The build cache: du and prune with their filters and bounds, the bound after a build, `system df` and `system prune`.
# COPY alone makes the layers, so it needs no root.
. "$(dirname "$0")/lib.bash"
need_program jq

mkdir "$work/app" && cd "$work/app"
make_context() { # NAME KIB: a file of that size that no other build has
  head -c $(($2 * 1024)) /dev/urandom >"$1"
  printf 'FROM scratch\nCOPY %s /data\n' "$1" >"$1.Dockerfile"
}
total() { ctr builder du | sed -n 's/^Total: *//p'; }
df_size() { ctr system df --format '{{.Type}}={{.Size}}' | sed -n 's/^Build Cache=//p'; }
is "$(total)" 0B "du of an empty cache"

make_context one 100
make_context two 200
ctr build -q -f one.Dockerfile --output type=cacheonly . >/dev/null
ctr build -q -f two.Dockerfile --output type=cacheonly . >/dev/null
is "$(ctr buildx du --format json | wc -l)" 2 "one entry a layer, however many keys it has"
is "$(total)" "307kB"
is "$(df_size)" "$(total)" "system df and du"
is "$(ctr buildx du --format '{{.Description}} {{.Reclaimable}}' | head -1)" "[1/1] COPY two /data true" "the last used first"
has "$(ctr buildx du)" "RECLAIMABLE"
has "$(ctr buildx du --verbose)" "Description:"
is "$(ctr buildx du --filter 'description~=one' --format json | wc -l)" 1
is "$(ctr buildx du --filter type=exec.cachemount --format json | wc -l)" 0
status_is 1 ctr buildx du --filter nonsense=1
has "$(cat "$work/err")" 'invalid filter "nonsense"'

# What an image has is its, not the cache's; the cache's total falls and prune leaves it.
ctr build -q -t shared -f one.Dockerfile . >/dev/null
is "$(total)" "205kB"
is "$(df_size)" "205kB"
has "$(ctr buildx du)" "Shared:"
is "$(ctr buildx du --filter shared --format json | wc -l)" 1
is "$(ctr buildx du --filter private --format json | wc -l)" 1

# Without an answer nothing goes; filters choose; what went is said.
status_is 0 ctr builder prune </dev/null
has "$(cat "$work/err")" "Are you sure you want to continue?"
is "$(total)" "205kB"
ctr buildx prune -f --filter until=1h >/dev/null
is "$(total)" "205kB" "nothing is that old"
has "$(ctr builder prune -f)" "205kB"
is "$(total)" 0B
ctr build --progress plain -f one.Dockerfile -t shared . 2>"$work/out"
has "$(cat "$work/out")" CACHED "a plain prune keeps what an image shares"
ctr builder prune -af >/dev/null
ctr build --progress plain -f one.Dockerfile -t shared . 2>"$work/out"
has_not "$(cat "$work/out")" CACHED "prune -a keeps nothing"
ctr image prune -af >/dev/null

# Bounds: the longest unused goes first.
make_context three 300
for name in one two; do ctr build -q -f $name.Dockerfile --output type=cacheonly . >/dev/null; done
find "$CTR_ROOT/cache" -name '*.json' -exec touch -d '2 hours ago' {} +
ctr build -q -f three.Dockerfile --output type=cacheonly . >/dev/null
ctr build -q -f one.Dockerfile --output type=cacheonly . >/dev/null
ctr buildx prune -f --max-used-space 450k >/dev/null
is "$(ctr buildx du --format '{{.Description}}' | sort | tr '\n' ,)" "[1/1] COPY one /data,[1/1] COPY three /data," "least recently used first"
ctr buildx prune -f --max-used-space 1 --reserved-space 1g >/dev/null
is "$(ctr buildx du --format json | wc -l)" 2 "what is reserved stays"
ctr buildx prune -f --keep-storage 150k >/dev/null
is "$(ctr buildx du --format '{{.Description}}')" "[1/1] COPY one /data"
status_is 125 ctr buildx prune -f --max-used-space lots

# The bound after a build: the configuration's, a builder's, and none when it is switched off.
mkdir -p "$work/config/ctr"
echo '{"builder": {"gc": {"defaultKeepStorage": "250k"}}}' >"$work/config/ctr/config.json"
export XDG_CONFIG_HOME=$work/config
make_context four 200
ctr build -q -f four.Dockerfile --output type=cacheonly . >/dev/null
is "$(ctr buildx du --format '{{.Description}}')" "[1/1] COPY four /data" "the cache after a build"
echo '{"builder": {"gc": {"enabled": false}}}' >"$work/config/ctr/config.json"
make_context five 200
ctr build -q -f five.Dockerfile --output type=cacheonly . >/dev/null
is "$(ctr buildx du --format json | wc -l)" 2
rm "$work/config/ctr/config.json"
ctr buildx create --name small --driver-opt cache-size=100k >/dev/null
make_context six 50
ctr build -q --builder small -f six.Dockerfile --output type=cacheonly . >/dev/null
is "$(ctr buildx du --format '{{.Description}}')" "[1/1] COPY six /data" "a builder's bound"

# system prune takes what no image shares; the sizes add up.
ctr build -q -t kept -f one.Dockerfile . >/dev/null
ctr system prune -f >"$work/out"
has "$(cat "$work/out")" "Deleted build cache objects:"
is "$(total)" 0B
is "$(df_size)" 0B
ctr build --progress plain -f one.Dockerfile -t kept . 2>"$work/out"
has "$(cat "$work/out")" CACHED
