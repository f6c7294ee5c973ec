#!/usr/bin/env bash
# ctr registry serve and the distribution-spec, demand by demand; --read-only, garbage collection, SIGKILL in the middle
# of uploads; skopeo as a client.
. "$(dirname "$0")/lib.bash"
need_program curl jq python3
serve() { # FLAGS...
  "$CTR" registry serve --listen "127.0.0.1:$port" --root "$work/registry" --quiet "$@" >"$work/registry.log" 2>&1 &
  registry_pid=$!
  started_pids+=($registry_pid)
  eventually 30 curl -s "http://$host/v2/"
}
end_registry() { kill "-$1" "$registry_pid"; wait "$registry_pid" 2>/dev/null || true; }
port=$(free_port)
host=127.0.0.1:$port
serve
python3 "$here/tests/support/distribution_conformance.py" "$host"

echo "one server a directory, and no collection under it"
status_is 125 ctr registry serve --listen 127.0.0.1:0 --root "$work/registry"
status_is 125 ctr registry garbage-collect --root "$work/registry"

echo "SIGKILL in the middle of uploads: what was accepted is whole, what was not is not there"
head -c 5000000 /dev/urandom >"$work/blob"
digest=sha256:$(sha256sum "$work/blob" | cut -d' ' -f1)
upload() { # REPOSITORY: begins a session, prints where it goes on
  curl -s -X POST -D- -o /dev/null "http://$host/v2/$1/blobs/uploads/" | tr -d '\r' | sed -n 's/^location: //ip'
}
put() { # LOCATION LIMIT
  case $1 in http*) ;; *) set -- "http://$host$1" "$2" ;; esac
  case $1 in *\?*) set -- "$1&digest=$digest" "$2" ;; *) set -- "$1?digest=$digest" "$2" ;; esac
  curl -s --limit-rate "$2" -X PUT -H 'Content-Type: application/octet-stream' --data-binary @"$work/blob" -o /dev/null -w '%{http_code}' "$1"
}
is "$(put "$(upload crash/accepted)" 1G)" 201
put "$(upload crash/broken)" 1M >/dev/null 2>&1 &
sending=$!
eventually 30 sh -c "find '$work/registry' -size +200k -newer '$work/blob' | grep -v '${digest#sha256:}' | grep -q ."
end_registry KILL
wait "$sending" || true
serve
curl -sf "http://$host/v2/crash/accepted/blobs/$digest" | cmp - "$work/blob"
is "$(curl -s -o /dev/null -w '%{http_code}' "http://$host/v2/crash/broken/blobs/$digest")" 404

echo "garbage: blobs that no manifest names go, others stay"
if command -v skopeo >/dev/null; then
  [ -x /bin/busybox ] || skip "needs the package busybox-static"
  mkdir "$work/app"
  cp /bin/busybox "$work/app/"
  printf 'FROM scratch\nCOPY busybox /bin/busybox\nCMD ["/bin/busybox", "echo", "hello"]\n' >"$work/app/Dockerfile"
  need_containers
  ctr build -q -t "$host/clients/app:1" "$work/app" >/dev/null
  ctr push -q "$host/clients/app:1" >/dev/null
fi
end_registry TERM
ctr registry garbage-collect --root "$work/registry" >"$work/out" 2>&1
has "$(cat "$work/out")" "removed "
serve
is "$(curl -s -o /dev/null -w '%{http_code}' "http://$host/v2/crash/accepted/blobs/$digest")" 404
if command -v skopeo >/dev/null; then
  echo "skopeo"
  skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$host/clients/app:1" "oci:$work/layout:1"
  skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "oci:$work/layout:1" "docker://$host/clients/skopeo:1"
  skopeo copy -q --dest-tls-verify=false --format v2s2 "oci:$work/layout:1" "docker://$host/clients/docker2:1"
  is "$(skopeo list-tags --tls-verify=false "docker://$host/clients/skopeo" | jq -r '.Tags[]')" 1
  ctr rmi -f "$host/clients/app:1" >/dev/null
  for name in skopeo docker2; do is "$(ctr run --rm --network none "$host/clients/$name:1" 2>/dev/null)" hello; done
  skopeo delete --tls-verify=false "docker://$host/clients/skopeo:1"
  is "$(curl -s -o /dev/null -w '%{http_code}' "http://$host/v2/clients/skopeo/manifests/1")" 404
fi

echo "--read-only"
end_registry TERM
serve --read-only
is "$(curl -s -o /dev/null -w '%{http_code}' -X POST "http://$host/v2/clients/app/blobs/uploads/")" 405
is "$(curl -s -o /dev/null -w '%{http_code}' "http://$host/v2/")" 200
has "$(curl -s "http://$host/v2/clients/app/tags/list")" '"1"'
status_is 1 ctr delete "$host/clients/app:1"
has "$(cat "$work/err")" "405"
