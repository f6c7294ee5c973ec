#!/usr/bin/env bash
# Many containers at once from eight shells: each is in `ps` and answers, all can be removed at once, nothing is left. In a
# network namespace of its own, so that its interfaces and rules are ours alone. CTR_MANY says how many (200).
[ "${1:-}" = inside ] || [ "$(id -u)" != 0 ] || exec unshare --net bash "$0" inside
. "$(dirname "$0")/../features/lib.bash"
need_root
need_program ip nft
ip link set lo up
busybox_image
many=${CTR_MANY:-200}
shells=8

in_shells() { # FUNCTION: runs it with 0 to 7, all at once
  local shell pids=() pid
  for shell in $(seq 0 $((shells - 1))); do
    "$1" "$shell" >"$work/$1.$shell" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || { cat "$work/$1".*; fail "$1"; }; done
}
start_some() {
  local i
  for ((i = $1; i < many; i += shells)); do "$CTR" run -d --name "many$i" busybox sleep 10000 || return 1; done
}
ask_some() {
  local i
  for ((i = $1; i < many; i += shells)); do is "$("$CTR" exec "many$i" hostname)" "$("$CTR" inspect -f '{{.Config.Hostname}}' "many$i")"; done
}
remove_some() {
  local i
  for ((i = $1; i < many; i += shells)); do "$CTR" rm -f "many$i" || return 1; done
}

in_shells start_some
is "$(ctr ps -q | sort -u | wc -l)" "$many" "containers in ps"
is "$(ctr ps --format '{{.State}}' | sort -u)" running
is "$(ctr inspect -f '{{.NetworkSettings.IPAddress}}' $(ctr ps -q) | sort -u | wc -l)" "$many" "addresses"
ctr ps -q --no-trunc >"$work/ids"
in_shells ask_some
in_shells remove_some

is "$(ctr ps -aq)" "" "containers left behind"
is "$(ls "$CTR_ROOT/containers")" "" "container directories left behind"
is "$(ls "$CTR_ROOT/container-names")" "" "names left behind"
is "$(ls "$CTR_ROOT/snapshots")" "" "snapshots left behind"
eventually 60 bash -c "[ -z \"\$(ls '$CTR_RUN/containers')\" ]"
is "$(grep -c "$work" /proc/self/mountinfo || true)" 0 "mounts left behind"
is "$(find /sys/fs/cgroup -maxdepth 5 -type d 2>/dev/null | grep -Ff "$work/ids" || true)" "" "cgroups left behind"
# The bridge goes a little after its last container.
eventually 60 bash -c '[ "$(ip -o link | grep -vc ": lo:")" = 0 ]'
is "$(nft list ruleset)" "" "rules left behind"
echo "$many containers came and went"
