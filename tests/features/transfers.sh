#!/usr/bin/env bash
# Transfers under way: a killed pull goes on with Range, Ctrl-C keeps what arrived, two pulls of one image fetch a blob
# once, progress with and without a terminal, and the proxies of config.json.
. "$(dirname "$0")/lib.bash"
need_containers
need_program curl python3 script
[ -x /bin/busybox ] || skip "needs the package busybox-static"
state=$work/state
mkdir "$state"
backend=$(free_port)
port=$(free_port)
"$CTR" registry serve --listen "127.0.0.1:$backend" --root "$work/registry" --quiet >"$work/registry.log" 2>&1 &
started_pids+=($!)
python3 "$here/tests/support/gated_registry.py" "$port" "$backend" "$state" >"$work/gated.log" 2>&1 &
started_pids+=($!)
eventually 30 curl -s "http://127.0.0.1:$port/v2/"
mkdir "$work/app"
cp /bin/busybox "$work/app/busybox"
head -c 3000000 /dev/urandom >"$work/app/noise"
printf 'FROM scratch\nCOPY busybox /bin/busybox\nCOPY noise /noise\nCMD ["/bin/busybox", "env"]\n' >"$work/app/Dockerfile"
name=127.0.0.1:$port/app:1
ctr build -q -t "$name" "$work/app" >/dev/null
ctr push -q "$name" >/dev/null
noise=$(ctr inspect --remote --format '{{range .Layers}}{{.size}} {{.digest}}{{"\n"}}{{end}}' "$name" | sort -n | tail -1 | cut -d' ' -f2)
fresh() { ctr rmi -f "$name" app >/dev/null 2>&1 || true; ctr system reset -f >/dev/null; rm -f "$state/held" "$state/hold"; : >"$state/log"; }
asked() { grep -c "^GET .*$noise" "$state/log"; }
is_held() { grep -q "$noise" "$state/held"; }
# Whether a part of the layer is in the store.
has_part() { [ -n "$(find "$CTR_ROOT" -type f -size +500k -not -path '*/layers/*' 2>/dev/null | head -1)" ]; }
same_noise() { ctr run --rm --network none "$name" /bin/busybox sha256sum /noise | cut -d' ' -f1; }
right=$(sha256sum "$work/app/noise" | cut -d' ' -f1)

echo "a pull that is killed goes on where it broke, in the next process"
fresh
echo 1000000 >"$state/hold"
"$CTR" pull -q "$name" >/dev/null 2>&1 &
pull=$!
eventually 60 is_held
eventually 60 has_part
kill -9 "$pull"
wait "$pull" 2>/dev/null || true
rm "$state/hold"
: >"$state/log"
ctr pull -q "$name" >/dev/null
grep -qE "^GET .*$noise 206 bytes=[1-9][0-9]*-" "$state/log" || { cat "$state/log" >&2; fail "no Range was asked for"; }
is "$(same_noise)" "$right"

echo "Ctrl-C keeps what arrived"
fresh
echo 1000000 >"$state/hold"
# A shell's background job ignores SIGINT; a terminal's does not.
python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
  "$CTR" pull -q "$name" >"$work/out" 2>&1 &
pull=$!
eventually 60 is_held
eventually 60 has_part
kill -INT "$pull"
status=0
wait "$pull" || status=$?
is "$status" 130
rm "$state/hold"
: >"$state/log"
ctr pull -q "$name" >/dev/null
grep -qE "^GET .*$noise 206 bytes=[1-9][0-9]*-" "$state/log" || { cat "$state/log" >&2; fail "no Range was asked for"; }
is "$(same_noise)" "$right"

echo "what another process downloads is waited for"
fresh
echo 1000000 >"$state/hold"
"$CTR" pull -q "$name" >/dev/null 2>&1 &
one=$!
eventually 60 is_held
"$CTR" pull "$name" >"$work/out" 2>&1 &
two=$!
eventually 60 grep -q "Waiting" "$work/out"
rm "$state/hold"
wait "$one"
wait "$two"
is "$(asked)" 1 "the blob was fetched once"
is "$(same_noise)" "$right"

echo "without a terminal: a line a layer at its start and end"
fresh
ctr pull "$name" >"$work/out" 2>"$work/err"
id=${noise:7:12}
[ "$(grep -c "^$id: " "$work/out")" -le 5 ] || { cat "$work/out" >&2; fail "too many lines for one layer"; }
has "$(grep "^$id: " "$work/out" | head -1)" "Pulling fs layer"
has "$(grep "^$id: " "$work/out" | tail -1)" "Pull complete"
LC_ALL=C grep -q $'[\x01-\x08\x0b-\x1f]' "$work/out" && fail "control characters without a terminal"
is "$(ctr pull -q "$name")" "$name"

echo "on a terminal: redrawn, at most ten times a second, never above 100 %"
fresh
echo 2000000 >"$state/hold"
script -qec "'$CTR' pull '$name'" /dev/null >"$work/screen" </dev/null &
pull=$!
eventually 60 is_held
start=$(grep -c $'\x1b\\[[0-9]*A' "$work/screen" || true)
sleep 2
frames=$(($(grep -o $'\x1b\\[[0-9]*A' "$work/screen" | wc -l) - start))
rm "$state/hold"
wait "$pull"
[ "$frames" -le 45 ] || fail "$frames redraws in about two seconds"
has "$(cat "$work/screen")" "Pull complete"
python3 - "$work/screen" <<'P'
import re, sys
units = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}
for done, unit, total, of in re.findall(r"([\d.]+)(B|kB|MB|GB)/([\d.]+)(B|kB|MB|GB)", open(sys.argv[1], errors="replace").read()):
    assert float(done) * units[unit] <= float(total) * units[of] * 1.0001, (done, unit, total, of)
P

echo "config.json's proxies reach run and build"
cat >"$DOCKER_CONFIG/config.json" <<'J'
{"proxies": {"default": {"httpProxy": "http://proxy.test:3128", "noProxy": "localhost,127.0.0.0/8"}}}
J
ctr run --rm --network none -e NO_PROXY=own "$name" /bin/busybox env | sort >"$work/out"
has "$(cat "$work/out")" "HTTP_PROXY=http://proxy.test:3128"
has "$(cat "$work/out")" "http_proxy=http://proxy.test:3128"
has "$(cat "$work/out")" "NO_PROXY=own"
has "$(cat "$work/out")" "no_proxy=localhost,127.0.0.0/8"
printf 'FROM %s\nRUN --network=none ["/bin/busybox", "env"]\n' "$name" >"$work/Dockerfile"
ctr build --progress plain --no-cache -t proxied "$work" >"$work/out" 2>&1
has "$(cat "$work/out")" "http_proxy=http://proxy.test:3128"
has_not "$(ctr inspect --format '{{.Config.Env}}' proxied) $(ctr history --no-trunc proxied)" "proxy.test"
