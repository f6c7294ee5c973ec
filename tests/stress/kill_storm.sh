#!/usr/bin/env bash
# SIGKILL for ctr, shims and containers at random moments: the next `ps` tells the truth, `rm -f` cleans everything, logs
# parse to the last line. CTR_KILL_ROUNDS (200), CTR_KILL_SECONDS (240) and CTR_KILL_SEED choose how often, how long at most
# and which moments.
. "$(dirname "$0")/../features/lib.bash"
need_root
need_program python3
busybox_image
seed=${CTR_KILL_SEED:-$RANDOM}
echo "seed $seed"

timeout 280 python3 "$here/tests/stress/kill_storm.py" "$CTR" "${CTR_KILL_ROUNDS:-200}" "$seed" "$work/ids" "${CTR_KILL_SECONDS:-240}"

is "$(ctr ps -aq)" "" "containers left behind"
# What a ctr left that was killed before its container existed is nobody's: pruning finds it.
# One that had no lock yet may be another ctr's that is at work; after a minute it isn't.
ctr system prune --force >/dev/null
find "$CTR_ROOT/containers" -mindepth 1 -maxdepth 1 -exec touch -d '2 minutes ago' {} +
ctr system prune --force >/dev/null
[ -z "${CTR_KILL_DEBUG:-}" ] || find "$CTR_ROOT/containers" "$CTR_RUN/containers" -ls >&2
is "$(ls "$CTR_ROOT/containers")" "" "container directories left behind"
is "$(ls "$CTR_ROOT/snapshots" 2>/dev/null)" "" "snapshots left behind"
is "$(ls "$CTR_ROOT/container-names")" "" "names left behind"
is "$(ls "$CTR_RUN/containers")" "" "run directories left behind"
# The namespace in which layers are mounted stays as long as these.
is "$(grep "$work" /proc/self/mountinfo | grep -cv '/store\.ns ' || true)" 0 "mounts left behind"
sort -u "$work/ids" | grep -E '^[0-9a-f]{64}$' >"$work/all"
[ "$(wc -l <"$work/all")" -gt 10 ] || fail "the storm hit almost nothing"
is "$(find /sys/fs/cgroup -maxdepth 4 -type d -path '*/ctr/*' 2>/dev/null | grep -Ff "$work/all" || true)" "" "cgroups left behind"
