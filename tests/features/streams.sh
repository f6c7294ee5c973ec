#!/usr/bin/env bash
# Streams of a container: complete, binary-safe, half-closed, shared by several clients, never held up by a sleeping one.
. "$(dirname "$0")/lib.bash"
need_containers
busybox_image
run() { ctr run --network none "$@"; }

# Complete to the last byte, stdout and stderr apart, also into the log.
is "$(run --name big busybox sh -c 'head -c 5000000 /dev/zero | tr "\000" x; echo -n end >&2' 2>"$work/err" | wc -c)" 5000000
is "$(cat "$work/err")" end
is "$(ctr logs big 2>/dev/null | wc -c)" 5000000
ctr rm big >/dev/null

# Every byte value, through stdin, stdout and the log.
python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 500)' >"$work/bytes"
run -i --name bytes busybox cat <"$work/bytes" >"$work/back"
cmp "$work/bytes" "$work/back"
ctr logs bytes >"$work/logged"
cmp "$work/bytes" "$work/logged"
while read -r line; do python3 -c 'import json, sys; json.loads(sys.argv[1])' "$line"; done < <(head -3 "$(ctr inspect -f '{{.LogPath}}' bytes)")
ctr rm bytes >/dev/null

# Half-close: the command sees the end of its input and still answers.
is "$(printf 'a\nb\n' | run -i --rm busybox sh -c 'cat >/tmp/x; wc -l </tmp/x')" 2
# Without -i there is no input.
is "$(echo lost | run --rm busybox cat)" ""

# A client that is stopped delays neither the container nor another client.
run -d --name chatty busybox sh -c 'while [ ! -e /tmp/go ]; do sleep 0.05; done; yes | head -c 20000000; echo; echo done' >/dev/null
"$CTR" attach chatty >"$work/sleeper" 2>"$work/sleeper.err" & sleeper=$!
"$CTR" attach chatty >"$work/awake" 2>/dev/null & awake=$!
started_pids+=("$sleeper" "$awake")
sleep 1
kill -STOP "$sleeper"
ctr exec chatty touch /tmp/go
eventually 60 bash -c "! kill -0 $awake 2>/dev/null"
is "$(wc -c <"$work/awake")" 20000006
is "$(ctr inspect -f '{{.State.Status}} {{.State.ExitCode}}' chatty)" "exited 0"
kill -CONT "$sleeper"
wait "$sleeper" || true
has "$(cat "$work/sleeper.err")" "not read"
is "$(ctr logs chatty | tail -1)" "done"

# The log is bounded, and keeps whole lines.
run --name bounded --log-opt max-size=100k --log-opt max-file=2 busybox sh -c 'i=0; while [ $i -lt 8000 ]; do echo "line $i"; i=$((i+1)); done' >/dev/null
log=$(ctr inspect -f '{{.LogPath}}' bounded)
[ "$(du -cb "$log" "$log".* | tail -1 | cut -f1)" -le 200000 ] || fail "the log is larger than asked"
is "$(ctr logs bounded | tail -1)" "line 7999"
ctr logs bounded | awk '{ if (n != "" && $2 != n + 1) exit 1; n = $2 }' || fail "lines are missing in the middle"
is "$(ctr logs --tail 3 bounded | head -1)" "line 7997"
has "$(ctr logs -t --tail 1 bounded)" "Z line 7999"
