#!/usr/bin/env bash
# run, ps, logs, exec, stop, start, rm: what a newcomer types, and exit codes as with Docker.
. "$(dirname "$0")/lib.bash"
need_containers
busybox_image

is "$(ctr run --rm busybox echo hello)" hello
is "$(ctr run --rm --network none busybox sh -c 'echo $HOSTNAME' | wc -c)" 13
is "$(ctr run --rm -e A=b -w /tmp busybox sh -c 'echo $A $PWD')" "b /tmp"
is "$(echo input | ctr run -i --rm busybox cat)" input
is "$(ctr run --rm -u 1000:1000 busybox id -u)" 1000
is "$(ctr run --rm --entrypoint echo busybox words)" words
is "$(ctr run --rm -h myhost busybox hostname)" myhost

# Exit codes.
status_is 3 ctr run --rm busybox sh -c 'exit 3'
status_is 127 ctr run --rm busybox nosuchprogram
status_is 126 ctr run --rm busybox /etc
status_is 125 ctr run --rm --pull never nosuchimage:1
status_is 137 ctr run --rm --init busybox sh -c 'kill -9 $$'
status_is 125 ctr run --rm -p nonsense busybox true
is "$(ctr ps -aq)" "" "containers left behind"

# A detached one.
id=$(ctr run -d --name web busybox sh -c 'echo out; echo err >&2; sleep 1000')
is "${#id}" 64
has "$(ctr ps)" "web"
has "$(ctr ps --format '{{.Names}} {{.State}} {{.Status}}')" "web running Up "
is "$(ctr inspect -f '{{.State.Status}} {{.Config.Hostname}}' web)" "running ${id:0:12}"
eventually 5 bash -c "'$CTR' logs web 2>/dev/null | grep -q out"
is "$(ctr logs web 2>/dev/null)" out
is "$(ctr logs web 2>&1 >/dev/null)" err
is "$(ctr exec web echo inside)" inside
status_is 4 ctr exec web sh -c 'exit 4'
status_is 127 ctr exec web nosuchprogram
is "$(echo text | ctr exec -i web cat)" text
status_is 125 ctr run -d --name web busybox true
status_is 1 ctr rm web
has "$(cat "$work/err")" "running"

# sleep has no handler for SIGTERM: a stop must not take ten seconds.
start=$(date +%s%N)
ctr stop web >/dev/null
took=$((($(date +%s%N) - start) / 1000000))
[ "$took" -lt 5000 ] || fail "stop took $took ms"
has "$(ctr ps -a --format '{{.Status}}')" "Exited (143)"

# Files survive stop and start.
ctr rm web >/dev/null
ctr run --name files busybox sh -c 'echo kept > /file'
ctr start files >/dev/null
ctr wait files >/dev/null
ctr export files | tar -xO ./file 2>/dev/null | grep -q kept || ctr export files | tar -xO file | grep -q kept
is "$(ctr rm "$(ctr ps -aq --no-trunc)" | wc -l)" 1
status_is 1 ctr rm nosuch
has "$(cat "$work/err")" "No such container: nosuch"
is "$(ctr ps -aq)" ""
