#!/usr/bin/env bash
# Two commands on one container at once serialise or refuse by name: none hangs, none crashes, and what is left is a
# container that still works and can be removed.
. "$(dirname "$0")/lib.bash"
need_containers
busybox_image
rounds=${CTR_CONCURRENT_ROUNDS:-6}

# An end by a signal (a crash) or by the time limit (a hang) is a failure; a refusal is not, but it says which container.
attempt() {
  local status=0 out
  out=$(timeout -k 5 120 "$CTR" "$@" 2>&1 </dev/null) || status=$?
  [ "$status" != 124 ] || { echo "$*: hung"; return 1; }
  # An exec's process may be killed with the container.
  [ "$status" -lt 126 ] || [ "$1" = exec ] || { echo "$*: status $status: $out"; return 1; }
  [ "$status" = 0 ] || [ "$1" = exec ] || case $out in *shared* | *"$id"* | *renamed*) ;; *) echo "$*: names no container: $out"; return 1 ;; esac
}
in_a_loop() {
  local i
  for ((i = 0; i < rounds; i++)); do attempt "$@" || return 1; done
}

id=$(ctr run -d --name shared --network none busybox sleep 1000)
pids=()
for command in "start shared" "stop -t 5 shared" "restart -t 5 shared" "kill shared" "exec shared true" "pause shared" "unpause shared" \
  "update --cpu-shares 512 shared" "inspect shared" "top shared" "rename shared renamed" "rename renamed shared" "rm shared" "logs shared"; do
  # shellcheck disable=SC2086
  in_a_loop $command >"$work/loop.${command// /_}" 2>&1 &
  pids+=($!)
done
bad=
for pid in "${pids[@]}"; do wait "$pid" || bad=1; done
[ -z "$bad" ] || { cat "$work"/loop.*; fail "a command hung, crashed or refused without a name"; }

# `rm` may have caught it between two runs. If not, it is whole.
if ctr inspect "$id" >/dev/null 2>&1; then
  ctr unpause "$id" >/dev/null 2>&1 || true
  ctr start "$id" >/dev/null
  is "$(ctr exec "$id" echo alive)" alive
  ctr rm -f "$id" >/dev/null
fi
is "$(ctr ps -aq)" "" "containers left behind"
is "$(ls "$CTR_ROOT/container-names")" "" "names left behind"

# Many creates with one name: one wins, the others say who has it.
pids=()
for i in 1 2 3 4 5 6; do
  (timeout 120 "$CTR" create --name only --network none busybox true >"$work/create.$i" 2>&1) &
  pids+=($!)
done
won=0
for pid in "${pids[@]}"; do ! wait "$pid" || won=$((won + 1)); done
is "$won" 1 "creates that got the name"
is "$(grep -l 'already in use' "$work"/create.* | wc -l)" 5
# Many removals: the container goes once, nobody waits for ever.
pids=()
for i in 1 2 3 4 5 6; do
  (timeout 120 "$CTR" rm -f only >"$work/remove.$i" 2>&1) &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || [ $? = 1 ] || fail "rm: $(cat "$work"/remove.*)"; done
is "$(ctr ps -aq)" ""
