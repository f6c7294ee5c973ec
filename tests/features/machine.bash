# A machine of the script's own, so that nothing touches the real one's network: source it instead of lib.bash. The script
# runs in a network and a mount namespace that play the host; a neighbour on its wire, and the world behind the neighbour,
# are two more network namespaces.
#
#   host       eth0 10.99.0.1/24 fd99::1/64, default routes by the neighbour; other0 10.98.0.1/24; no resolver but $resolv
#   neighbour  eth0 10.99.0.2/24 fd99::2/64, a router that knows no container
#   world      203.0.113.2/24, 2001:db8:113::2/64
if [ "$(id -u)" = 0 ] && [ -z "${CTR_MACHINE:-}" ] && unshare --net --mount true 2>/dev/null; then
  CTR_MACHINE=1 exec unshare --net --mount --propagation private bash "$0" "$@"
fi
. "$(dirname "${BASH_SOURCE[0]}")/lib.bash"
need_root
[ -n "${CTR_MACHINE:-}" ] || skip "needs the right to make network namespaces"
need_program ip nft python3 nsenter

peer_program=$here/tests/support/network_peer.py
resolv=$work/resolv.conf

# namespace NAME: a network namespace; its process id in $NAME.
namespace() {
  unshare --net sleep 100000 &
  started_pids+=($!)
  printf -v "$1" %s $!
  until [ "$(readlink "/proc/$!/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
  in_ns $! ip link set lo up
}
in_ns() { # PID COMMAND...
  local pid=$1
  shift
  nsenter -t "$pid" -n "$@"
}
# The process of a container, for its network namespace alone.
pid_of() { ctr inspect -f '{{.State.Pid}}' "$1"; }
# play PID serve|names|heard|keep ARGUMENT...: a program of network_peer.py in that namespace (0: the host's), ready.
play() {
  local pid=$1 out
  shift
  [ "$pid" != 0 ] || pid=$$
  out=$(mktemp "$work/peer.XXXXXX")
  nsenter -t "$pid" -n python3 "$peer_program" "$@" >"$out" 2>&1 &
  played=$!
  started_pids+=($played)
  for _ in $(seq 600); do
    ! grep -q ready "$out" || return 0
    kill -0 $played 2>/dev/null || break
    sleep 0.02
  done
  cat "$out" >&2
  fail "$* does not run"
}
# ask PID tcp|udp ADDRESS PORT: what a server says to a client in that namespace (0: the host's).
ask() {
  local pid=$1
  shift
  if [ "$pid" = 0 ]; then python3 "$peer_program" ask "$@"; else in_ns "$pid" python3 "$peer_program" ask "$@"; fi
}
# serve CONTAINER PORT: something that answers "CONTAINER <peer's address>" there, by TCP and UDP.
serve() { play "$(pid_of "$1")" serve "$2" "$1"; }

# What containers must leave as it was: interfaces, addresses, routes, rules, mounts.
machine_state() {
  ip -o link 2>/dev/null | sed -E 's/^[0-9]+: //; s/(qlen|mtu) [0-9]+//' | sort
  ip -o addr | sed -E 's/^[0-9]+: //; s/(valid|preferred)_lft [0-9]+sec//g' | sort
  ip route show table all | sed -E '/^anycast /d; s/expires [0-9]+sec//' | sort # anycast: what every router has
  ip rule
  nft list ruleset
  # Others' mounts end with their makers; the namespace in which layers are mounted stays as long as these.
  awk '{print $5}' /proc/self/mountinfo | sort | grep -F "$work" | grep -v '/store\.ns$' || true
}

# same_as STATE: waits until the host looks as it did, or shows what is left.
same_as() {
  for _ in $(seq 200); do [ "$(machine_state)" != "$1" ] || return 0; sleep 0.1; done
  diff <(echo "$1") <(machine_state) || fail "something was left on the host"
}

make_machine() {
  ip link set lo up
  namespace neighbour
  namespace world
  ip link add eth0 type veth peer name eth0 netns "$neighbour"
  ip addr add 10.99.0.1/24 dev eth0
  ip addr add fd99::1/64 dev eth0 nodad
  ip link set eth0 addrgenmode none
  ip link set eth0 up
  ip link add other0 type bridge
  ip addr add 10.98.0.1/24 dev other0
  ip link set other0 addrgenmode none
  ip link set other0 up
  in_ns "$neighbour" ip addr add 10.99.0.2/24 dev eth0
  in_ns "$neighbour" ip addr add fd99::2/64 dev eth0 nodad
  in_ns "$neighbour" ip link set eth0 up
  in_ns "$neighbour" ip link add world0 type veth peer name eth0 netns "$world"
  in_ns "$neighbour" ip addr add 203.0.113.1/24 dev world0
  in_ns "$neighbour" ip addr add 2001:db8:113::1/64 dev world0 nodad
  in_ns "$neighbour" ip link set world0 up
  in_ns "$neighbour" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
  in_ns "$world" ip addr add 203.0.113.2/24 dev eth0
  in_ns "$world" ip addr add 2001:db8:113::2/64 dev eth0 nodad
  in_ns "$world" ip link set eth0 up
  in_ns "$world" ip route add default via 203.0.113.1
  in_ns "$world" ip -6 route add default via 2001:db8:113::1
  ip route add default via 10.99.0.2
  ip -6 route add default via fd99::2
  echo "nameserver 203.0.113.2" >"$resolv"
  mount --bind "$resolv" "$(readlink -f /etc/resolv.conf)"
}
