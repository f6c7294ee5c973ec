#!/usr/bin/env bash
# Published ports: every form of -p, from where each can be reached and from where not, and who holds them.
. "$(dirname "$0")/machine.bash"
export XDG_CONFIG_HOME=$work/config
mkdir -p "$XDG_CONFIG_HOME/ctr"
make_machine
in_ns "$neighbour" ip route add 10.98.0.0/24 via 10.99.0.1
busybox_image
before=$(machine_state)
sleeper() { ctr run -d --name "$@" busybox sleep 100000 >/dev/null; } # NAME FLAG...
port_of() { ctr port "$1" "$2" | head -1 | sed 's/.*://'; }
ports() { ctr port "$1" | sort | xargs -d '\n' | sed 's/ $//'; }

# --- One port, from everywhere
ctr network create side >/dev/null
sleeper web -p 8080:80 -p 8080:80/udp
serve web 80
sleeper mate
sleeper far --network side
web_ip=$(ctr inspect -f '{{.NetworkSettings.IPAddress}}' web)
gateway=$(ctr inspect -f '{{.NetworkSettings.Gateway}}' web)
is "$(ports web)" "80/tcp -> 0.0.0.0:8080 80/tcp -> [::]:8080 80/udp -> 0.0.0.0:8080 80/udp -> [::]:8080" "ctr port"
is "$(ctr ps --filter name=web --format '{{.Ports}}')" "0.0.0.0:8080->80/tcp, 0.0.0.0:8080->80/udp, [::]:8080->80/tcp, [::]:8080->80/udp" "ctr ps"
reached() { # FROM WANT ADDRESS...: by TCP and UDP; what the server sees as the client's address
  local from=$1 want=$2 address kind
  shift 2
  for address in "$@"; do
    for kind in tcp udp; do is "$(ask "$from" $kind "$address" 8080)" "web $want" "$kind to $address from $from"; done
  done
}
reached "$neighbour" 10.99.0.2 10.99.0.1 10.98.0.1 # the client's own address arrives
reached "$world" 203.0.113.2 10.99.0.1
reached 0 "$gateway" 127.0.0.1 127.0.0.2 ::1 fd99::1
reached 0 10.99.0.1 10.99.0.1
reached 0 10.98.0.1 10.98.0.1
reached "$neighbour" "$gateway" fd99::1 # IPv6 to a container without: forwarded
reached "$(pid_of mate)" "$gateway" "$gateway" 10.99.0.1 10.98.0.1
reached "$(pid_of web)" "$gateway" "$gateway" 10.99.0.1
reached "$(pid_of far)" "$(ctr inspect -f '{{.NetworkSettings.Networks.side.IPAddress}}' far)" 10.99.0.1
# Not published: neither by the host's address nor, for strangers who route there, by its own.
in_ns "$neighbour" ip route add 172.16.0.0/12 via 10.99.0.1
play "$(pid_of web)" serve 81 web
is "$(ask "$neighbour" tcp 10.99.0.1 81)/$(ask "$neighbour" tcp "$web_ip" 81)/$(ask "$neighbour" tcp "$web_ip" 80)" "refused/nothing/nothing" "closed"

# --- Taken ports name their holder
web_id=$(ctr inspect -f '{{.Id}}' web)
for form in 8080:80 127.0.0.1:8080:80 '[::1]:8080:80' 10.99.0.1:8080:80/udp; do
  status_is 125 ctr run --rm -p "$form" busybox true
  has "$(cat "$work/err")" "port is already allocated to container ${web_id:0:12}" "-p $form"
done
play 0 serve 8111 process
status_is 125 ctr run --rm -p 8111:80 busybox true
has "$(cat "$work/err")" "already allocated to process $played (python3" "a port of a process"
is "$(ctr ps -aq --filter name=no-such | wc -l)" 0 "nothing is left of a failed run"
status_is 125 ctr run --rm -p 192.0.2.1:8112:80 busybox true
has "$(cat "$work/err")" "192.0.2.1:8112" "an address that no interface has"
for form in 8113:80/sctp 80/sctp; do
  status_is 125 ctr run --rm -p "$form" busybox true
  has "$(cat "$work/err")" "80/sctp: sctp is not supported yet" "-p $form"
done
for form in 99999:80 abc 1.2.3:80:80 80:80:80:80 8000-8001:80-82 '' :80:; do
  status_is 125 ctr run --rm -p "$form" busybox true
  [ -s "$work/err" ] || fail "-p $form has no sentence"
done

# --- Every form
sleeper forms -p 80 -p 127.0.0.1:8201:81 -p 127.0.0.1::82 -p '[::1]:8203:83' -p 8300-8302:90-92 -p 8310-8319:95 -p 8210:84/udp \
  -p 10.98.0.1:8211:85 -p published=8212,target=86,protocol=udp -p '[::]:8213:87' -p 0.0.0.0:8214:88 -p 0:89
for pair in "81 127.0.0.1:8201" "83 [::1]:8203" "90 0.0.0.0:8300" "91 0.0.0.0:8301" "92 0.0.0.0:8302" "84/udp 0.0.0.0:8210" \
  "85 10.98.0.1:8211" "86/udp 0.0.0.0:8212" "87 [::]:8213" "88 0.0.0.0:8214"; do
  is "$(ctr port forms "${pair% *}" | head -1)" "${pair#* }" "ctr port forms ${pair% *}"
done
is "$(ctr port forms 81 | wc -l)/$(ctr port forms 90 | wc -l)/$(ctr port forms 88 | wc -l)/$(ctr port forms 87 | wc -l)" 1/2/1/1 "addresses of each form"
case $(port_of forms 95) in 831[0-9]) ;; *) fail "a range for one port gave $(port_of forms 95)" ;; esac
[ "$(port_of forms 80)" -ge 1024 ] && [ "$(port_of forms 82)" -ge 1024 ] && [ "$(port_of forms 89)" -ge 1024 ] || fail "random ports: $(ports forms)"
is "$(ctr inspect -f '{{(index (index .NetworkSettings.Ports "81/tcp") 0).HostIp}}:{{(index (index .NetworkSettings.Ports "81/tcp") 0).HostPort}}' forms)" "127.0.0.1:8201" "inspect"
for port in 80 81 82 83 84 85 91 95; do serve forms $port; done
is "$(ask 0 tcp 127.0.0.1 "$(port_of forms 80)")/$(ask "$neighbour" tcp 10.99.0.1 "$(port_of forms 80)")" "forms $gateway/forms 10.99.0.2" "a random port"
is "$(ask 0 tcp 127.0.0.1 8201)/$(ask "$neighbour" tcp 10.99.0.1 8201)/$(ask "$(pid_of mate)" tcp "$gateway" 8201)" "forms $gateway/refused/refused" "127.0.0.1 alone"
is "$(ask 0 tcp ::1 8203)/$(ask 0 tcp 127.0.0.1 8203)/$(ask "$neighbour" tcp fd99::1 8203)" "forms $gateway/refused/refused" "[::1] alone"
is "$(ask "$neighbour" tcp 10.98.0.1 8211)/$(ask "$neighbour" tcp 10.99.0.1 8211)/$(ask 0 tcp 127.0.0.1 8211)" "forms 10.99.0.2/refused/refused" "one address of the host"
is "$(ask "$neighbour" tcp 10.99.0.1 8301)/$(ask "$neighbour" udp 10.99.0.1 8210)" "forms 10.99.0.2/forms 10.99.0.2" "ranges and udp"
# -P takes what is exposed, EXPOSE too.
printf 'FROM busybox\nEXPOSE 7070 7071/udp\n' | ctr build -q -t exposed - >/dev/null
ctr run -d --name all -P --expose 7080-7081 exposed sleep 100000 >/dev/null
is "$(ctr port all | grep -c 0.0.0.0)" 4 "-P"
serve all 7071
is "$(ask "$neighbour" udp 10.99.0.1 "$(port_of all 7071/udp)")" "all 10.99.0.2" "-P by UDP"
status_is 1 ctr port all 9999
has "$(cat "$work/err")" "no public port '9999/tcp' published for all" "ctr port of what is not published"

# --- A container of a network with IPv6 keeps the client's address there too
ctr network create --ipv6 six >/dev/null
sleeper six --network six -p 8400:80
serve six 80
is "$(ask "$neighbour" tcp fd99::1 8400)/$(ask "$neighbour" udp 10.99.0.1 8400)" "six fd99::2/refused" "IPv6 in the kernel"
has "$(ask 0 tcp ::1 8400)" "six " "[::1] to an IPv6 container"
ctr network create --ipv4=false --ipv6 only6 >/dev/null
sleeper lone --network only6 -p 8401:80
serve lone 80
is "$(ask "$neighbour" tcp fd99::1 8401)" "lone fd99::2" "an IPv6-only container"
has "$(ask "$neighbour" tcp 10.99.0.1 8401)" "lone fd" "IPv4 to an IPv6-only container is forwarded"

# --- ctr update -p: a running container
ctr update -p 8500:80 web >/dev/null
is "$(ask "$neighbour" tcp 10.99.0.1 8500)/$(ask "$neighbour" tcp 10.99.0.1 8080)" "web 10.99.0.2/web 10.99.0.2" "another port of a running container"
status_is 1 ctr update -p 8111:80 web
has "$(cat "$work/err")" "already allocated" "update to a taken port"
is "$(ask "$neighbour" tcp 10.99.0.1 8500)" "web 10.99.0.2" "after a refused update"
ctr update --unpublish 80/udp web >/dev/null
is "$(ask "$neighbour" udp 10.99.0.1 8080)/$(ask "$neighbour" tcp 10.99.0.1 8080)" "refused/web 10.99.0.2" "a port taken away"
kill "$(pgrep -f "serve 80 web" | head -1)" 2>/dev/null || true
ctr stop -t 1 web >/dev/null
is "$(ask "$neighbour" tcp 10.99.0.1 8080)" refused "a stopped container's port"
sleeper thief -p 8080:80
status_is 1 ctr start web
has "$(cat "$work/err")" "already allocated to container $(ctr inspect -f '{{.Id}}' thief | cut -c1-12)" "start while another has the port"
ctr rm -f thief >/dev/null
ctr start web >/dev/null
has_not "$(ctr port web)" udp "ports after the next start"
is "$(port_of web 80)" 8080 "ports after the next start"

# --- UDP flows of a client that goes on: the container's next life has another address
sleeper flow -p 8600:80/udp
serve flow 80
is "$(ask "$neighbour" udp 10.99.0.1 8600 5555)" "flow 10.99.0.2" "a flow"
flow_server=$played
ctr stop -t 1 flow >/dev/null
kill $flow_server
sleeper inbetween
is "$(ask "$neighbour" udp 10.99.0.1 8600 5555)" refused "while nobody has the port"
ctr start flow >/dev/null
serve flow 80
is "$(ask "$neighbour" udp 10.99.0.1 8600 5555)" "flow 10.99.0.2" "the same flow afterwards"

# --- What the host keeps on its loopback (CVE-2020-8558): packets that no kernel would send
play 0 heard 5300 "$work/heard"
: >"$work/heard"
echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
mac_of() { cat "/sys/class/net/$1/address" 2>/dev/null || ip -o link show "$1" | sed -E 's/.*link\/ether ([^ ]+).*/\1/'; }
bridge=$(ctr network inspect -f '{{index .Options "com.docker.network.bridge.name"}}' bridge)
bridge_mac=$(ip -o link show "$bridge" | sed -E 's/.*link\/ether ([^ ]+).*/\1/')
host_mac=$(ip -o link show eth0 | sed -E 's/.*link\/ether ([^ ]+).*/\1/')
attack() {
  local kind
  for kind in udp tcp; do
    in_ns "$(pid_of mate)" python3 "$peer_program" forge $kind eth0 "$bridge_mac" "$(ctr inspect -f '{{.NetworkSettings.IPAddress}}' mate)" 127.0.0.1 5300
    in_ns "$(pid_of mate)" python3 "$peer_program" forge $kind eth0 "$bridge_mac" 127.0.0.1 127.0.0.1 5300
    in_ns "$neighbour" python3 "$peer_program" forge $kind eth0 "$host_mac" 10.99.0.2 127.0.0.1 5300
    in_ns "$neighbour" python3 "$peer_program" forge $kind eth0 "$host_mac" 10.99.0.2 127.0.0.1 8201
  done
}
attack
in_ns "$(pid_of mate)" ip route add 127.0.0.0/8 via "$gateway" table 7 2>/dev/null || true
ask 0 tcp 127.0.0.1 5300 >/dev/null # what came before it has come
is "$(grep -vc '^tcp 127.0.0.1$' "$work/heard" || true)" 0 "packets to the host's loopback: $(cat "$work/heard")"
# The packets are real ones: without the guard they arrive.
table=$(nft list tables | awk '$2 == "inet" && $3 ~ /^ctr/ {print $3}')
nft flush chain inet "$table" guard
attack
eventually 10 grep -q '^udp 10.99.0.2' "$work/heard"
echo 0 >/proc/sys/net/ipv4/conf/all/route_localnet
nft delete table inet "$table" # rules that somebody flushed come back with the next container
ctr run --rm -p 8700:80 busybox true
is "$(ask "$neighbour" tcp 10.99.0.1 "$(port_of all 7080)")" refused "all ports are back"
has "$(nft list chain inet "$table" guard)" drop "the guard comes back"

# --- From where a port can be reached, in words
has "$(ctr port --reach web)" "from this host, its neighbours and its containers" "ctr port --reach"
is "$(ctr port --reach forms 81)" "127.0.0.1:8201 (from this host only)" "ctr port --reach of one on the loopback"
has "$(ctr info)" "web: 0.0.0.0:8080->80/tcp from this host, its neighbours and its containers" "ctr info names published ports"
has "$(ctr info)" "forms: 127.0.0.1:8201->81/tcp from this host only" "ctr info says from where"
has "$(ctr port --reach web)" "[::]:8080 (from this host, its neighbours and its containers; the container does not see the client's address)" "ctr port --reach of a forwarded one"
# A firewall that drops what is forwarded decides about strangers, whatever is published.
nft 'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }'
has "$(ctr port --reach web)" "0.0.0.0:8080 (from this host; from others what chain FORWARD of table ip filter accepts, which drops by default)" "ctr port --reach behind a firewall"
has "$(ctr info)" "web: 0.0.0.0:8080->80/tcp from this host; from others what chain FORWARD" "ctr info behind a firewall"
is "$(ask "$neighbour" tcp 10.99.0.1 8500)" nothing "a stranger behind the firewall"
nft delete table ip filter

# --- publish-address of the configuration file
echo '{"publish-address": "127.0.0.1"}' >"$XDG_CONFIG_HOME/ctr/config.json"
sleeper homely -p 8800:80 -p 0.0.0.0:8801:80
serve homely 80
is "$(ports homely)" "80/tcp -> 0.0.0.0:8801 80/tcp -> 127.0.0.1:8800" "publish-address"
is "$(ask 0 tcp 127.0.0.1 8800)/$(ask "$neighbour" tcp 10.99.0.1 8800)/$(ask "$neighbour" tcp 10.99.0.1 8801)" "homely $gateway/refused/homely 10.99.0.2" "publish-address"
echo '{"publish-address": "localhost"}' >"$XDG_CONFIG_HOME/ctr/config.json"
status_is 1 ctr ps
has "$(cat "$work/err")" publish-address "a publish-address that is none"
rm "$XDG_CONFIG_HOME/ctr/config.json"

# --- Without nftables the shim forwards
unable() { python3 "$peer_program" without-nftables "$CTR" "$@"; }
ctr rm -f $(ctr ps -aq) >/dev/null
unable run -d --name slow -p 8900:80 -p 8900:80/udp busybox sleep 100000 >"$work/out" 2>"$work/err"
has "$(cat "$work/err")" "do not see the client's address" "the forwarder says what it can't do"
serve slow 80
gateway=$(ctr inspect -f '{{.NetworkSettings.Gateway}}' slow)
for address in 10.99.0.1 fd99::1; do
  is "$(ask "$neighbour" tcp $address 8900)/$(ask "$neighbour" udp $address 8900)" "slow $gateway/slow $gateway" "forwarded from a neighbour by $address"
done
for address in 127.0.0.1 ::1 10.98.0.1; do
  is "$(ask 0 tcp $address 8900)/$(ask 0 udp $address 8900)" "slow $gateway/slow $gateway" "forwarded from the host by $address"
done
unable rm -f slow >/dev/null
# The table was made before, and whoever tidied up last could not see it: the next container's end takes it away.
table_is_gone() {
  ctr run --rm busybox true
  sleep 3
  ! nft list table inet "$table" >/dev/null
}
eventually 60 table_is_gone

ctr rm -f $(ctr ps -aq) >/dev/null 2>&1 || true
ctr network rm side six only6 >/dev/null
same_as "$before"
