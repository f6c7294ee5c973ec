#!/usr/bin/env bash
# Networks as their users see them: containers that find each other by name, several networks in one container, the way
# out, and nothing left behind. Published ports have a script of their own, ports.sh.
. "$(dirname "$0")/machine.bash"
make_machine
busybox_image
before=$(machine_state)
play "$world" names 53 203.0.113.2 outside.example=203.0.113.2 outside.example=2001:db8:113::2 only.example=198.51.100.9
play "$world" serve 7000 world
play "$neighbour" serve 7000 neighbour

box() { ctr run -d --name "$@" >/dev/null; } # NAME FLAG...: then IMAGE
sleeper() { box "$@" busybox sleep 100000; }
address_on() { ctr inspect -f "{{(index .NetworkSettings.Networks \"$2\").IPAddress}}" "$1"; }
inside() { in_ns "$(pid_of "$1")" "${@:2}"; }
# What a container's resolver says to a question; empty: nothing.
resolve() { ctr exec "$1" nslookup -type="${3:-a}" "$2" 2>/dev/null | sed -n '/^Name/,$ s/^Address: //p' | sort | xargs; }

# --- ctr network create, ls, inspect, rm
id=$(ctr network create --label tier=front --subnet 10.20.0.0/16 --gateway 10.20.0.9 --ip-range 10.20.5.0/24 \
  --aux-address printer=10.20.5.1 front)
is "${#id}" 64 "the id of a new network"
is "$(ctr network ls --format '{{.Name}} {{.Driver}} {{.Scope}}' --filter label=tier=front)" "front bridge local" "network ls"
is "$(ctr network ls -q --filter name=fro)" "${id:0:12}" "network ls -q"
is "$(ctr network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}} {{.IPRange}} {{.AuxiliaryAddresses.printer}}{{end}} {{.Labels.tier}}' front)" \
  "10.20.0.0/16 10.20.0.9 10.20.5.0/24 10.20.5.1 front" "network inspect"
status_is 1 ctr network create front
has "$(cat "$work/err")" "network with name front already exists" "the same name"
status_is 1 ctr network create --subnet 10.20.128.0/17 other
has "$(cat "$work/err")" "Pool overlaps" "an overlapping subnet"
status_is 1 ctr network create --subnet 10.99.0.0/16 other
has "$(cat "$work/err")" "Pool overlaps" "a subnet of the host's route"
status_is 1 ctr network create -d macvlan other
has "$(cat "$work/err")" "macvlan" "a driver that is not there"
status_is 1 ctr network create 'bad name'
has "$(cat "$work/err")" "bad name" "a bad name"
status_is 1 ctr network create -o com.docker.network.bridge.no_such_thing=1 other
has "$(cat "$work/err")" "no_such_thing" "an unknown option"
status_is 1 ctr network rm bridge
has "$(cat "$work/err")" "pre-defined" "removing a predefined one"
status_is 1 ctr network inspect nosuch
has "$(cat "$work/err")" "nosuch not found" "one that is not there"

# --- Names, as soon as `run -d` returns, and those of containers that come later
sleeper early --network front
ctr run -d --name web --network front --network-alias www --network-alias cache busybox sleep 100000 >"$work/web.id"
web=$(cat "$work/web.id")
for name in web www cache "${web:0:12}" web.front WEB; do
  is "$(resolve early "$name")" "$(address_on web front)" "the name $name"
done
case $(address_on early front) in 10.20.5.[02-9]) ;; *) fail "address $(address_on early front) is not of the range, or the reserved one" ;; esac
is "$(resolve web early)" "$(address_on early front)" "the other direction"
is "$(ctr exec early nslookup "$(address_on web front)" | sed -n 's/.*name = //p')" web.front "the name of an address"
ctr exec early ping -c 1 -W 2 web >/dev/null || fail "ping by name"
is "$(ctr exec early cat /etc/resolv.conf | grep -c '^nameserver 127.0.0.11$')" 1 "the resolver of a container"
# Two containers with one alias share it.
sleeper web2 --network front --network-alias www
is "$(resolve early www | wc -w)" 2 "an alias of two containers"
# After a restart with another address.
old=$(address_on web front)
ctr rename web site
ctr stop -t 1 site >/dev/null
find "$CTR_RUN/networks/front/names" -name "$old" | grep . && fail "names of a container that was stopped just now"
ctr rename site web
is "$(resolve early web)" "" "the name of a stopped container"
sleeper squatter --network front --ip "$old"
ctr start web >/dev/null
new=$(address_on web front)
[ "$new" != "$old" ] || fail "web has its old address although another has it"
is "$(resolve early web)" "$new" "the name after a restart with another address"
ctr rename web site
is "$(resolve early site)/$(resolve early web)" "$new/" "the names after a rename"
# The same on the default bridge.
sleeper one
sleeper two
is "$(resolve one two)" "$(ctr inspect -f '{{.NetworkSettings.IPAddress}}' two)" "a name on the default bridge"
is "$(resolve one site)" "" "a name of a network that the container is not on"

# --- Names of the outside: the host's resolvers, also one on its loopback, and the container's own
is "$(resolve early outside.example)" 203.0.113.2 "a name of the world"
is "$(resolve early outside.example aaaa)" 2001:db8:113::2 "an IPv6 address of the world"
is "$(resolve early nosuch.example)" "" "a name that is not there"
play 0 names 53 127.0.0.53 local.example=192.0.2.77
loopback_resolver=$played
echo "nameserver 127.0.0.53" >"$resolv"
is "$(resolve early local.example)" 192.0.2.77 "a name that only the host's loopback resolver knows"
sleeper stub
is "$(resolve stub local.example)" 192.0.2.77 "the same from a new container"
kill "$loopback_resolver"
is "$(ctr run --rm --dns 203.0.113.2 busybox nslookup -type=a only.example | awk '/^Address/ {print $NF}' | tail -1)" 198.51.100.9 "--dns"
is "$(ctr run --rm --dns-search corp.example --dns-search x.example --dns-option ndots:3 busybox grep -E '^(search|options)' /etc/resolv.conf | xargs)" \
  "search corp.example x.example options ndots:3" "--dns-search and --dns-option"
is "$(ctr run --rm --network none --dns 192.0.2.1 busybox grep nameserver /etc/resolv.conf)" "nameserver 192.0.2.1" "--dns without a network"
echo "nameserver 203.0.113.2" >"$resolv"

# --- Hosts file, host names
is "$(ctr run --rm --add-host db:192.0.2.5 --add-host six=2001:db8::5 busybox awk '$2 == "db" || $2 == "six" {print $1}' /etc/hosts | xargs)" \
  "192.0.2.5 2001:db8::5" "--add-host"
play 0 serve 7001 host
gateway=$(ctr network inspect -f '{{(index .IPAM.Config 0).Gateway}}' front)
sleeper gate --network front --add-host up:host-gateway
is "$(ctr exec gate awk '$2 == "up" {print $1}' /etc/hosts)" "$gateway" "host-gateway"
is "$(ask "$(pid_of gate)" tcp "$gateway" 7001)" "host $(address_on gate front)" "a server of the host by its gateway"
is "$(ctr run --rm --hostname h1 --domainname d.example busybox sh -c 'hostname; hostname -f; cat /etc/hostname' | xargs)" "h1 h1.d.example h1" "--hostname and --domainname"

# --- Addresses that are asked for
ctr network create --subnet 10.30.0.0/24 --subnet fd30::/64 --ipv6 fixed >/dev/null
sleeper asked --network fixed --ip 10.30.0.50 --ip6 fd30::50 --mac-address 02:11:22:33:44:55
is "$(inside asked ip -o addr show dev eth0 | awk '{print $4}' | grep -v ^fe80 | xargs) $(inside asked cat /sys/class/net/eth0/address 2>/dev/null || true)" \
  "10.30.0.50/24 fd30::50/64 $(inside asked cat /sys/class/net/eth0/address 2>/dev/null || true)" "--ip and --ip6"
has "$(inside asked ip link show dev eth0)" 02:11:22:33:44:55 "--mac-address"
status_is 125 ctr run --rm --name late --network fixed --ip 10.30.0.50 busybox true
has "$(cat "$work/err")" "$(ctr inspect -f '{{.Id}}' asked | cut -c1-12)" "a taken address names its holder"
status_is 125 ctr run --rm --network fixed --ip 10.31.0.50 busybox true
has "$(cat "$work/err")" "10.31.0.50" "an address of no subnet"
status_is 125 ctr run --rm --network fixed --link-local-ip 169.254.8.8 busybox true
has "$(cat "$work/err")" "link-local" "what is not supported is refused by name"

# --- Several networks in one container; connect and disconnect
ctr network create back >/dev/null
sleeper both --network front --network name=back,alias=depot,mac-address=02:aa:00:00:00:01
sleeper behind --network back
is "$(inside both ip -o -4 addr show | awk '$2 != "lo" {print $2}' | xargs)" "eth0 eth1" "interfaces"
has "$(inside both ip -o link)" "02:aa:00:00:00:01" "mac-address of one network"
is "$(resolve behind depot)/$(resolve early depot)" "$(address_on both back)/" "an alias holds on its network only"
is "$(inside both ip route show default | wc -l)" 1 "default routes"
play "$(pid_of early)" serve 7000 early
play "$(pid_of behind)" serve 7000 behind
is "$(ask "$(pid_of both)" tcp "$(address_on early front)" 7000)/$(ask "$(pid_of both)" tcp "$(address_on behind back)" 7000)" \
  "early $(address_on both front)/behind $(address_on both back)" "both networks are reached"
is "$(ask "$(pid_of behind)" tcp "$(address_on early front)" 7000)" nothing "another network's container"
ctr network connect --alias visitor --ip 10.20.5.77 front behind
is "$(resolve early visitor)/$(resolve behind early)" "10.20.5.77/$(address_on early front)" "names after connect"
is "$(ask "$(pid_of behind)" tcp "$(address_on early front)" 7000)" "early 10.20.5.77" "after connect"
has "$(ctr exec behind cat /etc/hosts)" 10.20.5.77 "the hosts file after connect"
status_is 1 ctr network connect --link early:e front behind
has "$(cat "$work/err")" "--link is not supported" "--link is refused by name"
status_is 1 ctr network connect front behind
has "$(cat "$work/err")" "already exists in network front" "connected twice"
status_is 1 ctr network rm back
has "$(cat "$work/err")" 'name:"behind"' "a network in use names its users"
ctr network disconnect front behind
is "$(resolve early visitor)" "" "names after disconnect"
is "$(inside behind ip -o -4 addr show | awk '$2 != "lo" {print $2}')" eth0 "interfaces after disconnect"
has_not "$(ctr exec behind cat /etc/hosts)" 10.20.5.77 "the hosts file after disconnect"
status_is 1 ctr network disconnect front behind
has "$(cat "$work/err")" "not connected" "disconnected twice"
# A stopped container is connected for its next start; the record decides.
ctr stop -t 1 behind >/dev/null
ctr network connect front behind
ctr network disconnect back behind
ctr start behind >/dev/null
is "$(ctr inspect -f '{{range $n, $v := .NetworkSettings.Networks}}{{$n}} {{end}}' behind)" "front " "networks after the next start"
is "$(ctr network inspect -f '{{range .Containers}}{{.Name}} {{end}}' back)" "both " "containers of a network"
# gw-priority moves the default route.
ctr run -d --name prior --network front --network name=back,gw-priority=5 busybox sleep 100000 >/dev/null
has "$(inside prior ip route show default)" "via $(ctr network inspect -f '{{(index .IPAM.Config 0).Gateway}}' back)" "gw-priority"

# --- Out to the world under the host's address; internal networks not at all
is "$(ask "$(pid_of early)" tcp 203.0.113.2 7000)/$(ask "$(pid_of early)" udp 10.99.0.2 7000)" "world 10.99.0.1/neighbour 10.99.0.1" "the way out"
ctr network create --internal inner >/dev/null
sleeper hidden --network inner
sleeper hidden2 --network inner
is "$(resolve hidden hidden2)" "$(address_on hidden2 inner)" "names inside"
is "$(resolve hidden outside.example)" "" "names outside"
is "$(inside hidden ip route show default)" "" "a way out"
play "$(pid_of hidden2)" serve 7000 hidden2
is "$(ask "$(pid_of hidden)" tcp "$(address_on hidden2 inner)" 7000)" "hidden2 $(address_on hidden inner)" "inside an internal network"
inside hidden ip route add default via "$(ctr network inspect -f '{{(index .IPAM.Config 0).Gateway}}' inner)"
is "$(ask "$(pid_of hidden)" tcp 203.0.113.2 7000)" nothing "out of an internal network, with a route of its own"

# --- IPv6: a unique local subnet when none is given
ctr network create --ipv6 six >/dev/null
subnet=$(ctr network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{end}}' six | tr ' ' '\n' | grep :)
case $subnet in fd*/64) ;; *) fail "subnet $subnet is not a ULA" ;; esac
sleeper six1 --network six
sleeper six2 --network six
six2=$(ctr inspect -f '{{.NetworkSettings.Networks.six.GlobalIPv6Address}}' six2)
is "$(resolve six1 six2 aaaa)" "$six2" "the IPv6 name"
play "$(pid_of six2)" serve 7000 six2
has "$(ask "$(pid_of six1)" tcp "$six2" 7000)" "six2 fd" "IPv6 between containers"
is "$(ask "$(pid_of six1)" tcp 2001:db8:113::2 7000)" "world fd99::1" "IPv6 to the world"
# A network without IPv4.
ctr network create --ipv4=false --ipv6 only6 >/dev/null
is "$(ctr network inspect -f '{{.EnableIPv4}} {{len .IPAM.Config}}' only6)" "false 1" "--ipv4=false"
sleeper lone --network only6
sleeper lone2 --network only6
is "$(inside lone ip -o -4 addr show dev eth0)" "" "no IPv4 address"
is "$(resolve lone lone2 aaaa)" "$(ctr inspect -f '{{.NetworkSettings.Networks.only6.GlobalIPv6Address}}' lone2)" "names on it"
is "$(ask "$(pid_of lone)" tcp 2001:db8:113::2 7000)" "world fd99::1" "from it to the world"

# --- Pools skip what the host's routes use; the uplink's MTU
ip route add 172.30.0.0/16 via 10.99.0.2
for i in $(seq 16); do ctr network create "pool$i" >/dev/null; done
has_not "$(ctr network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{end}}' $(ctr network ls -q --filter driver=bridge))" 172.30. "a pool of the host's route"
# The configuration's pools hold for whoever comes first, a build too.
mkdir -p "$work/pools/ctr"
echo '{"default-address-pools": [{"base": "10.66.0.0/16", "size": 24}]}' >"$work/pools/ctr/config.json"
pooled() { CTR_ROOT=$work/pooled CTR_RUN=$work/pooled-run XDG_CONFIG_HOME=$work/pools "$CTR" "$@"; }
ctr save busybox | pooled load >/dev/null
printf 'FROM busybox\nRUN true\n' | pooled build -q - >/dev/null
is "$(pooled network inspect -f '{{(index .IPAM.Config 0).Subnet}}' bridge)" 10.66.0.0/24
pooled system reset -f >/dev/null
ip route add 172.20.0.0/14 via 10.99.0.2 table 77
ip link set eth0 mtu 1400
ctr network create mtu >/dev/null
sleeper small --network mtu
has "$(inside small ip link show dev eth0)" "mtu 1400" "the uplink's MTU"
ip link set eth0 mtu 1500
ctr network create -o com.docker.network.driver.mtu=1300 mtu2 >/dev/null
is "$(ctr run --rm --network mtu2 busybox cat /sys/class/net/eth0/mtu)" 1300 "an MTU that was asked for"
ctr network create -o com.docker.network.bridge.name=mybr0 -o com.docker.network.bridge.enable_icc=false shy >/dev/null
sleeper shy1 --network shy
sleeper shy2 --network shy
ip link show mybr0 >/dev/null || fail "the bridge's own name"
play "$(pid_of shy2)" serve 7000 shy2
is "$(ask "$(pid_of shy1)" tcp "$(address_on shy2 shy)" 7000)" nothing "enable_icc=false"
# A route that comes after the network was made is told, not broken.
later=$(ctr network inspect -f '{{(index .IPAM.Config 0).Subnet}}' pool3)
ip route add "$later" via 10.99.0.2
status_is 125 ctr run --rm --network pool3 busybox true
has "$(cat "$work/err")" "$later" "a route over a network's subnet"
ip route del "$later"

# --- Modes
is "$(ctr run --rm --network none busybox sh -c 'ls /sys/class/net | xargs')" lo "none"
has "$(ctr run --rm --network host busybox ip -o link)" other0 "host"
is "$(ctr run --rm --network container:early busybox sh -c 'ip -o -4 addr show dev eth0 | tr -s " " | cut -d" " -f4; hostname')" \
  "$(address_on early front)/16
$(ctr exec early hostname)" "container:NAME"
is "$(ctr run --rm --network container:early busybox nslookup -type=a site | awk '/^Address/ {print $NF}' | tail -1)" "$new" "names in another's network"
for conflict in "-p 80" "--hostname x" "--add-host a:1.2.3.4" "--dns 1.1.1.1" "--mac-address 02:00:00:00:00:01" "--expose 80"; do
  # shellcheck disable=SC2086 # a flag and its value
  status_is 125 ctr run --rm --network container:early $conflict busybox true
  has "$(cat "$work/err")" "conflicting options" "$conflict with container:NAME"
done
ctr stop -t 1 two >/dev/null
status_is 125 ctr run --rm --network container:two busybox true
has "$(cat "$work/err")" "non running container" "the network of a stopped container"

# --- prune, and nothing left
ctr network create idle >/dev/null
ctr create --name meant --network pool2 busybox true >/dev/null
ctr network prune -f >"$work/out"
has "$(cat "$work/out")" idle "prune"
has_not "$(cat "$work/out")" pool2 "prune of a network that a stopped container is meant for"
has_not "$(cat "$work/out")" front "prune of a used network"
# Shims that were killed: the next command tidies up.
for name in early both six1; do
  shim=$(awk '/^PPid/ {print $2}' "/proc/$(pid_of $name)/status")
  kill -9 "$shim"
done
eventually 20 test "$(ctr ps -q --filter name=early)" = ""
is "$(resolve squatter early)" "" "the name of a container whose shim was killed"
ctr rm -f $(ctr ps -aq) >/dev/null
ctr network rm $(ctr network ls -q --filter type=custom) >/dev/null
ip route del 172.30.0.0/16 via 10.99.0.2
ip route del 172.20.0.0/14 via 10.99.0.2 table 77
same_as "$before"
