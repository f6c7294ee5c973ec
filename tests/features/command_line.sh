#!/usr/bin/env bash
# Help, unknown words and flags, machines that are not this one, and no escape sequences without a terminal.
. "$(dirname "$0")/lib.bash"

has "$(ctr)" "Common Commands"
has "$(ctr help run)" "Usage:  ctr run [OPTIONS] IMAGE [COMMAND] [ARG...]"
has "$(ctr run --help)" "--publish"
has "$(ctr image --help)" "ls"
for command in run build ps images pull push exec logs inspect "image ls" "container ls" "system df"; do
  # shellcheck disable=SC2086
  has "$(ctr $command --help)" "Usage:" "$command"
done

status_is 1 ctr biuld .
has "$(cat "$work/err")" "did you mean 'build'"
status_is 125 ctr run --nmae x busybox
has "$(cat "$work/err")" "unknown flag: --nmae (did you mean --name?)"
has "$(cat "$work/err")" "See 'ctr run --help'"
status_is 125 ctr ps -Z
status_is 125 ctr --nope
status_is 1 ctr rename onlyone
for word in compose swarm context; do
  status_is 1 ctr $word
  has "$(cat "$work/err")" "'$word'"
done

DOCKER_HOST=tcp://10.0.0.1:2375 status_is 1 ctr ps
has "$(cat "$work/err")" "another machine"
DOCKER_CONTEXT=remote status_is 1 ctr ps
status_is 1 ctr -H ssh://host ps
DOCKER_HOST=unix:///var/run/docker.sock status_is 0 ctr ps

is "$(ctr version --format '{{.Server.Os}}')" linux
[ -n "$(ctr version --format '{{.Client.Version}}')" ]
[ -n "$(ctr info --format '{{.ServerVersion}}')" ]
is "$(ctr version --format json | jq -r '.Server.Os')" linux

for shell in bash zsh fish; do ctr completion $shell >"$work/$shell"; done
bash -n "$work/bash"
has "$(ctr __complete -- image)" "ls"
has "$(ctr __complete -- run)" "--publish"

# Control characters: none but tab and newline.
for arguments in "" "ps -a" "images" "info" "run --help" "version"; do
  # shellcheck disable=SC2086
  if ctr $arguments 2>&1 | LC_ALL=C grep -q $'[\x01-\x08\x0b-\x1f]'; then fail "control characters in: ctr $arguments"; fi
done
