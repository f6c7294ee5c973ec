#!/usr/bin/env bash
# A script written for docker: types each line of life.cases to the program $DOCKER and prints what comes, with ids, times
# and digests replaced by words. Usage: DOCKER=docker ROOTFS=busybox.tar life.sh [CASES] >OUTPUT
# Whoever runs it gives an empty store.
set -u
cases=$(realpath "${1:-$(dirname "$0")/life.cases}")
normalise=$(realpath "$(dirname "$0")/normalise.py")
: "${DOCKER:=docker}" "${ROOTFS:?names a tar of a busybox root}"
export TZ=UTC LC_ALL=C.UTF-8 COLUMNS=200
directory=$(mktemp -d "${TMPDIR:-/tmp}/ctr-compat.XXXXXX")
raw=${COMPAT_RAW:-$directory/raw}
trap 'rm -rf "$directory"' EXIT
export DOCKER ROOTFS
docker() { command "$DOCKER" "$@"; }
# The keys of a document of `inspect` with their types; the parts of a list count once.
shape() {
  jq -r '.[0] as $document | [$document | paths as $path | ($path | map(if type == "number" then "[]" else . end) | join(".")) +
    " " + ($document | getpath($path) | type)] | unique | .[]' | sed -E 's/[0-9a-f]{64}/<id>/'
}
export -f docker shape

mkdir "$directory/cwd"
cd "$directory/cwd" || exit 1
while IFS= read -r line; do
  case $line in '' | '#'*) printf '%s\n' "$line"; continue ;; esac
  printf '$ %s\n' "$line"
  [ -z "${COMPAT_VERBOSE:-}" ] || printf '%s %s\n' "$SECONDS" "$line" >&2
  status=0
  timeout -k 5 "${LINE_TIMEOUT:-60}" bash -c "$line" >"$directory/out" 2>"$directory/err" </dev/null || status=$?
  sed '$a\' "$directory/out"
  sed '$a\' "$directory/err" | sed 's/^/! /'
  [ "$status" = 0 ] || printf '= %s\n' "$status"
done <"$cases" >"$raw"
python3 "$normalise" <"$raw"
