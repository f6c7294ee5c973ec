#!/usr/bin/env bash
# A reboot, played: the power goes while containers run. No process of theirs is left, the run directory is empty, there is
# no interface, rule or mount, and the boot has another id. What was to run comes back with its names, ports and data, and
# afterwards nothing is left on the host that was not there before.
. "$(dirname "$0")/machine.bash"
make_machine
busybox_image
cat /proc/sys/kernel/random/boot_id >"$work/boot_id"
before=$(machine_state)
sleeper() { ctr run -d --name "$@" busybox sleep 100000 >/dev/null; } # NAME FLAG...
resolve() { ctr exec "$1" nslookup -type=a "$2" 2>/dev/null | sed -n '/^Name/,$ s/^Address: //p' | sort | xargs; }
address_on() { ctr inspect -f "{{(index .NetworkSettings.Networks \"$2\").IPAddress}}" "$1"; }
state() { ctr inspect -f "{{.State.$2}}" "$1"; }
names_of() { ctr ps "$@" --format '{{.Names}}' | sort | xargs; }
# Processes of this store: commands, shims, and with each shim its container.
ours() {
  local process
  for process in /proc/[0-9]*; do
    case $(cat "$process/comm" 2>/dev/null) in ctr*) ;; *) continue ;; esac
    ! tr '\0' '\n' 2>/dev/null <"$process/environ" | grep -qxF "CTR_RUN=$CTR_RUN" || echo "${process#/proc/}"
  done
}
gone() { local pid; for pid; do [ -z "$(tr -d '\0' 2>/dev/null <"/proc/$pid/cmdline")" ] || return 1; done; }

# power_cut: everything that a machine forgets.
power_cut() {
  local pids id
  mapfile -t pids < <(ctr ps -q --no-trunc | while read -r id; do pid_of "$id"; done)
  while [ -n "$(ours)" ]; do
    # shellcheck disable=SC2046 # process ids
    kill -9 $(ours) 2>/dev/null || true
  done
  eventually 20 gone "${pids[@]}"
  awk -v store="$CTR_ROOT/" -v run="$CTR_RUN/" 'index($5, run) == 1 || index($5, store) == 1 {print $5}' /proc/self/mountinfo |
    sort -r | while read -r place; do umount -l "$place"; done
  rm -rf "$CTR_RUN"
  for id in "$CTR_ROOT"/containers/*/; do
    find /sys/fs/cgroup -depth -type d -path "*/$(basename "$id")*" -exec rmdir {} + 2>/dev/null || true
  done
  ip -o link | awk -F': ' '$2 ~ /^ctr/ {sub(/@.*/, "", $2); print $2}' | while read -r link; do ip link del "$link" 2>/dev/null || true; done
  nft flush ruleset
  echo 0 >/proc/sys/net/ipv4/ip_forward
  python3 -c 'import uuid; print(uuid.uuid4())' >"$work/boot_id"
  is "$(machine_state | grep ctr || true)" "" "what the played reboot left"
}
mount --bind "$work/boot_id" /proc/sys/kernel/random/boot_id

# --- What runs when the power goes
ctr network create --ipv6 front >/dev/null
ctr network create back >/dev/null
ctr volume create data >/dev/null
ctr volume create -o type=tmpfs -o device=tmpfs -o o=size=1m ram >/dev/null
sleeper db --restart unless-stopped --network back --network-alias store -v data:/data -v ram:/ram
ctr exec db sh -c 'echo kept >/data/file; sync; echo lost >/ram/file'
sleeper web --restart always --network front --network back -p 8080:80 -p 8080:80/udp --tmpfs /scratch
ctr exec web sh -c 'echo layer >/written; sync'
sleeper side --restart always --network container:web
sleeper passing --network front --rm -v /gone
sleeper plain --network front -v data:/data
sleeper ended --restart unless-stopped --network front
ctr stop -t 1 ended >/dev/null
ctr create --name never --restart always --network front busybox sleep 100000 >/dev/null
serve web 80
is "$(ask "$neighbour" tcp 10.99.0.1 8080)" "web 10.99.0.2" "before the reboot"
old_subnet=$(ctr network inspect -f '{{(index .IPAM.Config 0).Subnet}}' front)
volumes=$(ctr volume ls -q | wc -l)
is "$volumes" 3 "volumes"
power_cut

# --- Before anything is started: nothing runs, nothing is published, and the rest is as it was
is "$(names_of)" "" "what runs after a reboot"
is "$(names_of -a)" "db ended never plain side web" "containers after a reboot: one with --rm is gone"
is "$(ctr volume ls -q | sort | xargs)" "data ram" "its anonymous volume"
is "$(state plain Status)/$(state plain ExitCode)" "exited/255" "what ran when the power went"
is "$(ctr port web)" "" "ports of what does not run"
is "$(ctr network ls --format '{{.Name}}' | sort | xargs)" "back bridge front host none" "networks"
is "$(ctr network inspect -f '{{(index .IPAM.Config 0).Subnet}}{{len .Containers}}' front)" "${old_subnet}0" "a network without containers"

# --- The boot unit's command
is "$(ctr system start-all | sort | xargs)" "db side web" "what start-all starts"
is "$(names_of)" "db side web" "what runs"
serve web 80
for kind in tcp udp; do is "$(ask "$neighbour" $kind 10.99.0.1 8080)" "web 10.99.0.2" "a published port by $kind"; done
is "$(ask 0 tcp ::1 8080)" "web $(ctr inspect -f '{{.NetworkSettings.Networks.front.IPv6Gateway}}' web)" "and by [::1]"
is "$(resolve web store)/$(resolve db web)" "$(address_on db back)/$(address_on web back)" "names"
is "$(ctr exec side ip -o -4 addr show | awk '$2 != "lo" {print $4}' | cut -d/ -f1 | sort | xargs)" \
  "$(printf '%s\n' "$(address_on web front)" "$(address_on web back)" | sort | xargs)" "a container in another's network"
is "$(ctr exec db cat /data/file)/$(ctr exec db ls /ram)/$(ctr exec web cat /written)" kept//layer "data"
is "$(ctr system start-all)" "" "start-all again"
is "$(ctr start plain)" plain "a start by hand"
is "$(ctr exec plain cat /data/file)" kept "its volume"

# --- Another one, and any command may come first: a run, a start
power_cut
is "$(ctr run --rm --network back busybox echo first)" first "a run as the first command"
ctr start db >/dev/null
is "$(names_of)" db "after a start"
is "$(ctr system start-all | sort | xargs)" "side web" "start-all when something runs"
# The power goes while start-all is at work.
power_cut
ctr system start-all >/dev/null 2>&1 &
sleep 0.0$((RANDOM % 9 + 1))
kill -9 $! 2>/dev/null || true
wait $! 2>/dev/null || true
power_cut
is "$(ctr system start-all | sort | xargs)" "db side web" "start-all after a power cut in its midst"

ctr rm -f $(ctr ps -aq) >/dev/null
ctr network rm front back >/dev/null
ctr volume prune -af >/dev/null
umount /proc/sys/kernel/random/boot_id
same_as "$before"
