#!/usr/bin/env bash
# Commands around a container's life that scripts lean on: filters and formats of ps, events across processes, exec's flags,
# top, rename, prune by filter, cidfile, logs with their bounds in time, drivers of logs.
. "$(dirname "$0")/lib.bash"
need_containers
busybox_image
run() { ctr run -d --network none "$@"; }

# ps: each filter, several of one kind are alternatives, of different kinds conditions.
run --name one -l app=web -l tier=1 -v data:/data busybox sleep 1000 >/dev/null
run --name two -l app=db busybox sleep 1000 >/dev/null
ctr run --name three --network none busybox sh -c 'exit 3' || true
names() { ctr ps -a --format '{{.Names}}' "$@" | sort | tr '\n' ' '; }
is "$(names --filter label=app)" "one two "
is "$(names --filter label=app=web)" "one "
is "$(names --filter label=app --filter label=tier=1)" "one "
is "$(names --filter status=exited --filter status=running)" "one three two "
is "$(names --filter exited=3)" "three "
is "$(names --filter volume=data)" "one "
is "$(names --filter volume=/data)" "one "
is "$(names --filter name='^t')" "three two "
is "$(names --filter since=one)" "three two "
is "$(names --filter before=two)" "one "
is "$(names --filter id="$(ctr inspect -f '{{.Id}}' two)")" "two "
is "$(names --filter ancestor=busybox)" "one three two "
is "$(names --filter network=none)" "one three two "
is "$(ctr ps -n 2 --format '{{.Names}}' | tr '\n' ' ')" "three two "
is "$(ctr ps -l --format '{{.Names}}')" three
is "$(ctr ps -q --no-trunc --filter name=two)" "$(ctr inspect -f '{{.Id}}' two)"
status_is 1 ctr ps --filter nosuch=1
has "$(cat "$work/err")" "invalid filter 'nosuch'"
is "$(ctr ps --filter name=two --format '{{json .}}' | python3 -c 'import json, sys; print(json.load(sys.stdin)["Labels"])')" "app=db"
has "$(ctr ps -a --format 'table {{.Names}}\t{{.Size}}' | sed -n 2p)" "(virtual"
has "$(ctr ps)" "IMAGE     COMMAND"
is "$(ctr ps -a --filter name=three --format '{{.Command}}' --no-trunc)" "\"sh -c 'exit 3'\""

# exec.
is "$(ctr exec -e A=1 -w /tmp two sh -c 'echo $A $PWD')" "1 /tmp"
is "$(ctr exec -u 5:6 two id -u)" 5
ctr exec -d two touch /made
eventually 30 ctr exec two test -e /made
status_is 126 ctr exec -u nosuch two id
status_is 127 ctr exec two nosuch
status_is 126 ctr exec two /etc
echo "B=from file" >"$work/env"
is "$(ctr exec --env-file "$work/env" two sh -c 'echo $B')" "from file"
caps() { ctr exec "$@" two sed -n 's/^CapEff:\t//p' /proc/self/status; }
is "$(caps)" 00000000a80425fb
[ "$(caps --privileged)" != 00000000a80425fb ] || fail "exec --privileged has no more capabilities"

# top with ps(1)'s options.
has "$(ctr top two)" "sleep 1000"
is "$(ctr top two -o pid,comm | awk 'NR == 2 {print $2}')" sleep
status_is 1 ctr top three
has "$(cat "$work/err")" "not running"

# rename, also of a running one; the old name is free.
ctr rename two deux
is "$(names --filter name=deux)" "deux "
run --name two busybox sleep 1000 >/dev/null
status_is 1 ctr rename two deux
has "$(cat "$work/err")" "already in use"
ctr network create shared >/dev/null
ctr run -d --name before --network shared busybox sleep 1000 >/dev/null
ctr rename before after
is "$(ctr run --rm --network shared busybox sh -c 'ping -c1 -w5 after >/dev/null && echo found')" found
ctr rm -f after >/dev/null
ctr network rm shared >/dev/null

# A follower in another process sees events as they come; --until ends it.
"$CTR" events --filter container=late --filter event=start --filter event=die --format '{{.Action}}' >"$work/followed" & follower=$!
started_pids+=("$follower")
eventually 30 bash -c "ls -l /proc/$follower/fd | grep -q inotify"
ctr run --rm --name late --network none busybox true
eventually 30 bash -c "[ \"\$(tr '\n' ' ' <'$work/followed')\" = 'start die ' ]"
kill "$follower"
is "$(ctr events --since 1h --until 0s --filter event=rename --format '{{.Actor.Attributes.oldName}}' | head -1)" /two
is "$(ctr events --since 1h --until 0s --filter type=container --filter container=three --filter event=die --format '{{.Actor.Attributes.exitCode}}')" 3
is "$(ctr events --since 0s --until 0s)" ""
ctr events --since 1h --until 0s --format json | python3 -c 'import json, sys; [json.loads(line)["timeNano"] for line in sys.stdin]'

# Log drivers: local keeps like json-file, none keeps nothing, journald is refused by name; so is an unknown option.
ctr run --name kept --network none --log-driver local --log-opt max-size=1m --log-opt max-file=2 busybox echo words >/dev/null
is "$(ctr logs kept)" words
ctr run --name silent --network none --log-driver none busybox echo words >/dev/null
status_is 1 ctr logs silent
status_is 125 ctr run --rm --log-driver journald busybox true
has "$(cat "$work/err")" journald
status_is 125 ctr run --rm --log-opt max-sizes=1m busybox true
has "$(cat "$work/err")" "max-sizes"
ctr run --name timed --network none busybox sh -c 'echo early; sleep 1.2; echo late' >/dev/null
middle=$(ctr logs -t timed | awk 'NR == 2 {print $1}')
is "$(ctr logs --since "$middle" timed)" late
is "$(ctr logs --until "${middle%.*}Z" timed)" early
is "$(ctr logs -f --tail 1 timed)" late

# wait, cidfile, prune.
is "$(ctr wait three kept | tr '\n' ' ')" "3 0 "
ctr create --cidfile "$work/cid" --network none busybox true >/dev/null
is "$(ctr inspect -f '{{.Id}}' "$(cat "$work/cid")")" "$(cat "$work/cid")"
status_is 1 ctr create --cidfile "$work/cid" busybox true
ctr create --name labelled -l keep=yes --network none busybox true >/dev/null
is "$(ctr container prune -f --filter label=nosuch)" "Total reclaimed space: 0B"
is "$(ctr container prune -f --filter until=1h)" "Total reclaimed space: 0B"
ctr container prune -f --filter label!=keep >/dev/null
is "$(names)" "deux labelled one two "
has "$(ctr container prune -f)" "Deleted Containers:"
is "$(names)" "deux one two "
has "$(ctr system df)" "RECLAIMABLE"
has "$(ctr system df -v)" "Containers space usage:"
