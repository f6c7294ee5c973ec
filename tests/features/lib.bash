# What feature scripts share: a store of their own that is cleaned up however the script ends, and small checks that
# print what they saw when they fail. Source it first: `. "$(dirname "$0")/lib.bash"`.
set -Eeu -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${CTR:=$here/build/release/bin/ctr}"
work=$(mktemp -d "${TMPDIR:-/tmp}/ctr-feature.XXXXXX")
export CTR_ROOT=$work/store CTR_RUN=$work/run DOCKER_CONFIG=$work/docker
mkdir -p "$DOCKER_CONFIG"
started_pids=()
ctr() { "$CTR" "$@"; }

cleanup() {
  local status=$? pid
  trap - ERR EXIT
  set +e
  if [ -e "$CTR_ROOT/version" ]; then "$CTR" system reset --force >"$work/reset.log" 2>&1 || cat "$work/reset.log" >&2; fi
  for pid in ${started_pids[@]+"${started_pids[@]}"}; do kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done
  rm -rf "$work"
  exit "$status"
}
trap cleanup EXIT
trap 'echo "failed at ${BASH_SOURCE[0]}:$LINENO: $BASH_COMMAND" >&2' ERR

skip() { echo "skipped: $*"; exit 77; }
# What only root may do is named, so that the run as an ordinary user says which right is missing.
need_root() { [ "$(id -u)" = 0 ] || skip "needs root${1:+: $1}"; }
# Containers: root, or a user who may make user namespaces and has a range of ids.
need_containers() {
  [ "$(id -u)" != 0 ] || return 0
  unshare --user true 2>/dev/null || skip "needs user namespaces for ordinary users"
  grep -qE "^($(id -un)|$(id -u)):" /etc/subuid 2>/dev/null || skip "needs a range of ids in /etc/subuid"
  command -v newuidmap >/dev/null || skip "needs newuidmap (package uidmap)"
}
is_root() { [ "$(id -u)" = 0 ]; }
need_program() { local p; for p in "$@"; do command -v "$p" >/dev/null || skip "needs $p"; done; }

fail() { echo "FAIL: $*" >&2; exit 1; }
is() { [ "$1" = "$2" ] || fail "${3:-}: got '$1', want '$2'"; }
has() { case $1 in *"$2"*) ;; *) fail "${3:-}: '$1' does not hold '$2'" ;; esac; }
has_not() { case $1 in *"$2"*) fail "${3:-}: '$1' holds '$2'" ;; esac; }
# status_is N COMMAND...: the exit status; output and errors go to $work/out and $work/err.
status_is() {
  local want=$1 got=0
  shift
  "$@" >"$work/out" 2>"$work/err" || got=$?
  [ "$got" = "$want" ] || { cat "$work/out" "$work/err" >&2; fail "$*: status $got, want $want"; }
}
eventually() { # SECONDS COMMAND...
  local until=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || fail "not within time: $*"
    sleep 0.05
  done
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# A busybox image named busybox, from the package busybox-static.
busybox_image() {
  [ -x /bin/busybox ] || skip "needs the package busybox-static"
  CTR_BASE_CACHE=${CTR_BASE_CACHE:-$work/base} "$here/scripts/base-images" --ctr "$CTR" busybox >/dev/null
}
