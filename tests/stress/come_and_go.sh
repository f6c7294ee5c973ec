#!/usr/bin/env bash
# N containers (default 500) come and go on three networks, four shells at a time: they end by themselves, are removed, are
# stopped, lose their shim. Afterwards the host's interfaces, addresses, routes, rules and mounts are what they were.
. "$(dirname "$0")/../features/machine.bash"
count=${1:-500}
make_machine
busybox_image
before=$(machine_state)
ctr network create --ipv6 six >/dev/null
ctr network create --internal inner >/dev/null

# come NUMBER: one container's life.
come() {
  local number=$1 name=c$1 flags=(--network bridge)
  case $((number % 4)) in
    1) flags=(--network six -p 80 -p 80/udp) ;;
    2) flags=(--network inner --network-alias everyone) ;;
    3) flags=(--network bridge --network six -p 127.0.0.1::80 --tmpfs /t -v "vol$((number % 8)):/v") ;;
  esac
  case $((number % 5)) in
    0) ctr run --rm "${flags[@]}" busybox true ;;
    1) ctr run -d --name "$name" "${flags[@]}" busybox sleep 100000 && ctr rm -f "$name" ;;
    2) ctr run -d --name "$name" "${flags[@]}" busybox sleep 100000 && ctr stop -t 1 "$name" && ctr start "$name" && ctr rm -f "$name" ;;
    3) ctr run -d --rm --name "$name" "${flags[@]}" busybox true ;;
    4)
      ctr run -d --name "$name" "${flags[@]}" busybox sleep 100000
      kill -9 "$(awk '/^PPid/ {print $2}' "/proc/$(pid_of "$name")/status")"
      ;;
  esac >/dev/null
}
for shell in 0 1 2 3; do
  (for number in $(seq $shell 4 $((count - 1))); do come "$number"; done) 2>>"$work/trouble" &
  shells[shell]=$!
done
for shell in "${shells[@]}"; do wait "$shell"; done
[ ! -s "$work/trouble" ] || { cat "$work/trouble" >&2; fail "a container's life went wrong"; }

# Those whose shim was killed are noticed by the next command.
left=$(ctr ps -aq)
# shellcheck disable=SC2086 # ids
[ -z "$left" ] || ctr rm -f $left >/dev/null
is "$(ctr ps -aq)" "" "containers"
ctr network rm six inner >/dev/null
ctr volume prune -af >/dev/null
same_as "$before"
is "$(find "$CTR_RUN/networks" -mindepth 2 \( -type l -o -type f \) ! -name '*.lock' ! -name '.lock' 2>/dev/null)" "" "leases, names and claims"
echo "$count containers left nothing behind"
