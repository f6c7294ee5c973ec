#!/usr/bin/env bash
# ctr registry serve: push, pull and copy with it, with a password; skopeo reads what ctr pushed.
. "$(dirname "$0")/lib.bash"
need_containers
need_program htpasswd curl
busybox_image
port=$(free_port)
htpasswd -Bbn me secret >"$work/htpasswd" 2>/dev/null
"$CTR" registry serve --listen "127.0.0.1:$port" --root "$work/registry" --htpasswd "$work/htpasswd" >"$work/registry.log" 2>&1 &
started_pids+=($!)
eventually 5 curl -s "http://127.0.0.1:$port/v2/"
is "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/v2/")" 401
name=127.0.0.1:$port/team/busybox
ctr tag busybox "$name:1"
status_is 1 ctr push "$name:1"
echo secret | ctr login -u me --password-stdin "127.0.0.1:$port" >/dev/null 2>&1
ctr push "$name:1" >/dev/null
ctr copy -q "$name:1" "127.0.0.1:$port/other:2" >"$work/copied"
has "$(cat "$work/copied")" "Digest: sha256:"
ctr rmi "$name:1" >/dev/null
ctr pull -q "127.0.0.1:$port/other:2" >/dev/null
is "$(ctr run --rm --network none "127.0.0.1:$port/other:2" echo served)" served
if command -v skopeo >/dev/null; then
  has "$(skopeo inspect --tls-verify=false --creds me:secret "docker://$name:1")" '"Architecture"'
fi
