# What scripts with registries under their own names share: a network and mount namespace of the script's own in which
# those names lead to tests/support/registry_doubles.py, behind it `ctr registry serve`, and an authority that signed for
# them. `play NAMES...` sets all up; source after lib.bash.

# Runs the script again in namespaces of its own, where /etc/hosts and addresses may be changed.
in_own_namespaces() {
  [ -z "${CTR_TEST_NAMESPACES:-}" ] || return 0
  need_root
  need_program unshare ip openssl python3
  unshare --net --mount --propagation private true 2>/dev/null || skip "needs the right to make namespaces"
  trap - EXIT
  rm -rf "$work"
  CTR_TEST_NAMESPACES=1 exec unshare --net --mount --propagation private bash "$0" "$@"
}

make_certificates() { # NAMES...: ca.pem signs cert.pem
  local names='' name
  for name in "$@"; do names=$names,DNS:$name; done
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=test authority" \
    -keyout "$work/ca-key.pem" -out "$work/ca.pem" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=test" -keyout "$work/key.pem" \
    -out "$work/request.pem" 2>/dev/null
  openssl x509 -req -in "$work/request.pem" -CA "$work/ca.pem" -CAkey "$work/ca-key.pem" -CAcreateserial -days 2 \
    -extfile <(echo "subjectAltName=${names#,}") -out "$work/cert.pem" 2>/dev/null
}

settings() { echo "$1" >"$state/settings.new"; mv "$state/settings.new" "$state/settings.json"; }

play() { # NAMES...
  local address=198.51.100.10 name
  ip link set lo up
  for name in $address 169.254.169.254 169.254.170.23; do ip address add "$name/32" dev lo; done
  make_certificates "$@"
  { echo "127.0.0.1 localhost"; for name in "$@"; do echo "$address $name"; done; } >"$work/hosts"
  mount --bind "$work/hosts" /etc/hosts
  state=$work/state
  mkdir "$state"
  settings '{}'
  backend=127.0.0.1:5999
  "$CTR" registry serve --listen "$backend" --root "$work/registry" --quiet >"$work/registry.log" 2>&1 &
  started_pids+=($!)
  python3 "$here/tests/support/registry_doubles.py" 5999 "$state" "$work/cert.pem" "$work/key.pem" \
    $address 169.254.169.254 169.254.170.23 >"$work/doubles.log" 2>&1 &
  started_pids+=($!)
  eventually 30 test -e "$state/ready"
  eventually 30 curl -s "http://$backend/v2/"
}

# An image for two platforms that prints its architecture, pushed under each of the names from a store of its own.
origin_image() { # NAMES...
  local name tags=()
  [ -x /bin/busybox ] || skip "needs the package busybox-static"
  mkdir -p "$work/app"
  cp /bin/busybox "$work/app/busybox"
  echo amd64 >"$work/app/amd64"
  echo arm64 >"$work/app/arm64"
  printf 'FROM scratch\nARG TARGETARCH\nCOPY busybox /bin/busybox\nCOPY $TARGETARCH /arch\nCMD ["/bin/busybox", "cat", "/arch"]\n' \
    >"$work/app/Dockerfile"
  for name in "$@"; do tags+=(-t "$name"); done
  (
    export CTR_ROOT=$work/origin CTR_RUN=$work/origin-run
    ctr build -q --platform linux/amd64,linux/arm64 "${tags[@]}" "$work/app" >/dev/null
    for name in "$@"; do ctr push -q "$name" >/dev/null; done
    ctr system reset -f >/dev/null
  )
}
