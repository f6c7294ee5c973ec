#!/usr/bin/env bash
# What the shim does by itself: restarts with a growing delay, health checks, restarts of the unhealthy, a pause that no
# probe disturbs; and what comes back after a reboot.
. "$(dirname "$0")/lib.bash"
need_root "it pauses containers, which takes a freezer cgroup"
busybox_image
run() { ctr run -d --network none "$@"; }
state() { ctr inspect -f "{{.State.$2}}" "$1"; }
is_state() { [ "$(state "$1" "$2")" = "$3" ]; }
restarts() { ctr inspect -f '{{.RestartCount}}' "$1"; }
restarts_reach() { [ "$(restarts "$1")" -ge "$2" ]; }
export -f ctr state restarts
export CTR

# on-failure:3 gives up after three more, each start twice as late as the one before (100, 200, 400 ms).
run --name failing --restart on-failure:3 busybox sh -c 'exit 7' >/dev/null
eventually 60 is_state failing Status exited
is "$(restarts failing) $(state failing ExitCode)" "3 7"
ctr events --since 1h --until 0s --filter container=failing --filter event=start --format '{{.timeNano}}' >"$work/starts"
is "$(wc -l <"$work/starts")" 4 "starts"
python3 - "$work/starts" <<'E2'
import sys
times = [int(line) for line in open(sys.argv[1])]
gaps = [later - earlier for earlier, later in zip(times, times[1:])]
assert all(gap >= wanted * 10**6 for gap, wanted in zip(gaps, (100, 200, 400))), gaps
E2
# A success is no failure.
run --name fine --restart on-failure busybox true >/dev/null
eventually 60 is_state fine Status exited
is "$(restarts fine)" 0
# always comes back after any end, but not after a stop; a kill by hand counts as one.
run --name always --restart always busybox sleep 0.1 >/dev/null
eventually 60 restarts_reach always 2
ctr stop always >/dev/null
is "$(state always Status)" exited
ctr start always >/dev/null
ctr kill always >/dev/null
eventually 60 is_state always Status exited
is "$(ctr update --restart no always)" always
status_is 125 ctr run --rm --restart always busybox true

# Health: starting, unhealthy after the retries, healthy again at once; shown in ps and inspect, told as events.
run --name sick --health-cmd 'test -e /ok || { echo no /ok; exit 1; }' --health-interval 100ms --health-retries 2 busybox sleep 1000 >/dev/null
has "$(ctr ps --filter name=sick --format '{{.Status}}')" "health"
eventually 60 is_state sick Health.Status unhealthy
has "$(ctr ps --filter health=unhealthy --format '{{.Status}}')" "(unhealthy)"
has "$(ctr inspect -f '{{json .State.Health.Log}}' sick)" '"no /ok\n"'
ctr exec sick touch /ok
eventually 60 is_state sick Health.Status healthy
is "$(ctr inspect -f '{{.State.Health.FailingStreak}}' sick)" 0
has "$(ctr events --since 1h --until 0s --filter container=sick --filter event=health_status --format '{{.Action}}' | tr '\n' ' ')" \
  "health_status: unhealthy health_status: healthy"

# A pause: no probe runs, none is counted as late; afterwards they go on.
ctr pause sick >/dev/null
is "$(state sick Status)" paused
probes() { ctr inspect -f '{{json .State.Health.Log}}' sick; }
before=$(probes)
status_is 1 ctr exec sick true
has "$(cat "$work/err")" "paused"
sleep 1
is "$(probes)" "$before" "probes of a paused container"
ctr unpause sick >/dev/null
eventually 60 bash -c "[ \"\$('$CTR' inspect -f '{{json .State.Health.Log}}' sick)\" != '$before' ]"
is "$(state sick Health.Status)" healthy
# At whatever moment of a probe a pause comes.
for _ in $(seq 40); do
  timeout 60 "$CTR" pause sick >/dev/null
  timeout 60 "$CTR" unpause sick >/dev/null
done
# A paused one can be stopped.
ctr pause sick >/dev/null
ctr stop -t 5 sick >/dev/null
is "$(state sick Status)" exited

# Docker only marks the unhealthy; on-unhealthy starts them anew.
run --name renewed --restart on-unhealthy --health-cmd 'test ! -e /broken' --health-interval 100ms --health-retries 1 busybox sleep 1000 >/dev/null
eventually 60 is_state renewed Health.Status healthy
ctr exec renewed touch /broken
eventually 60 restarts_reach renewed 1
ctr rm -f renewed >/dev/null

# A reboot: the run directory is empty, no process is left.
run --name up-always --restart always busybox sleep 1000 >/dev/null
run --name up-unless --restart unless-stopped busybox sleep 1000 >/dev/null
run --name down-unless --restart unless-stopped busybox sleep 1000 >/dev/null
run --name plain busybox sleep 1000 >/dev/null
ctr stop -t 5 down-unless >/dev/null
gone() { local pid; for pid; do [ -z "$(tr -d '\0' 2>/dev/null <"/proc/$pid/cmdline")" ] || return 1; done; }
pids=()
for name in up-always up-unless plain; do
  shim=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["shim_pid"])' "$CTR_RUN/containers/$(ctr inspect -f '{{.Id}}' $name)/state.json")
  pids+=("$shim" "$(ctr inspect -f '{{.State.Pid}}' $name)")
  kill -9 "$shim"
done
eventually 20 gone "${pids[@]}"
awk -v run="$CTR_RUN/" 'index($5, run) == 1 {print $5}' /proc/self/mountinfo | sort -r | while read -r mount; do umount "$mount"; done
rm -rf "$CTR_RUN"
is "$(ctr system start-all | sort | tr '\n' ' ')" "up-always up-unless "
is "$(ctr ps --format '{{.Names}}' | sort | tr '\n' ' ')" "up-always up-unless "
is "$(state plain Status)" exited
is "$(ctr system start-all)" ""
ctr rm -f $(ctr ps -aq) >/dev/null
is "$(ctr ps -aq)" ""
