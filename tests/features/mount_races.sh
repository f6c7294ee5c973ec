#!/usr/bin/env bash
# Mounts whose way is swapped for a link while they are made (CVE-2021-30465 and its kind): what a container can change is
# a volume that it shares, so another process exchanges a directory of it with a link that leads out, without a pause,
# while containers are started. Each loop goes on until both sides of the race were met; nothing may come to be outside.
. "$(dirname "$0")/lib.bash"
need_root
need_program python3
busybox_image
ctr volume create shared >/dev/null
ctr volume create data >/dev/null
shared=$(ctr volume inspect -f '{{.Mountpoint}}' shared)
echo mine >"$(ctr volume inspect -f '{{.Mountpoint}}' data)/file"
outside=$work/outside
mkdir "$outside" "$work/secret"
echo secret >"$work/secret/file"

swap() { # DIRECTORY NAME OTHER...
  local out
  out=$(mktemp "$work/swap.XXXXXX")
  python3 "$here/tests/support/swapper.py" "$@" >"$out" 2>&1 &
  swapper=$!
  started_pids+=($swapper)
  eventually 20 grep -q ready "$out"
}
stop_swap() {
  kill "$swapper" 2>/dev/null || fail "nothing was exchanged: $(cat "$work"/swap.*)"
  wait "$swapper" 2>/dev/null || true
}
mounts() { awk '{print $5}' /proc/self/mountinfo | grep -F "$work/" | grep -vF "$CTR_RUN/" | sort || true; }

# race LEAST COMMAND...: runs it at least so often, then until `seen` has two words; each answer is noted in `seen`.
race() {
  local least=$1 round answer
  shift
  declare -gA seen=()
  for round in $(seq 400); do
    answer=$("$@" 2>"$work/err") || answer=failed
    seen[$answer]=$((${seen[$answer]:-0} + 1))
    [ "$round" -lt "$least" ] || [ ${#seen[@]} -lt 2 ] || return 0
  done
  fail "only one side of the race was met: ${!seen[*]}: $(cat "$work/err")"
}

# --- Targets below a directory that is a link at times: of volumes, files, memory, devices, and the working directory
mounts_before=$(mounts)
host_file=$work/host-file
echo host >"$host_file"
below_shared() {
  ctr run --rm --network none -v shared:/shared -v data:/shared/dir/made/deep -v "$host_file:/shared/dir/made/one:ro" \
    --tmpfs /shared/dir/memory --device /dev/null:/shared/dir/null -w /shared/dir/work busybox \
    sh -c 'grep -q " /shared/dir/made/deep " /proc/self/mountinfo && echo there || echo elsewhere'
}
# An absolute way out, one that climbs, and one through the magic links of /proc.
for out in "$outside" "../../../../../../../../../..$outside" "/proc/1/root$outside" "/proc/self/cwd"; do
  rm -rf "${shared:?}"/*
  mkdir "$shared/dir"
  ln -s "$out" "$shared/link"
  swap "$shared" dir link
  race 8 below_shared
  stop_swap
  is "$(find "$outside")" "$outside" "what came to be outside by a link to $out"
done
is "$(mounts)" "$mounts_before" "mounts of the host"
is "$(cat "$host_file")" host "the host's file"

# --- A target that is a directory at times and a file at others: the start fails or not, and the kind is the source's
rm -rf "${shared:?}"/*
mkdir "$shared/kind"
touch "$shared/other"
swap "$shared" kind other
race 8 ctr run --rm --network none -v shared:/shared -v data:/shared/kind busybox cat /shared/kind/file
stop_swap
for answer in "${!seen[@]}"; do [ "$answer" = mine ] || [ "$answer" = failed ] || fail "a volume on a file: $answer"; done

# --- A volume's part that is a link at times
mkdir "$work/secret/part"
echo secret >"$work/secret/part/file"
for out in "$work/secret" "../../../../../../../../../..$work/secret" "/proc/1/root$work/secret"; do
  rm -rf "${shared:?}"/*
  mkdir -p "$shared/sub/part"
  echo mine >"$shared/sub/part/file"
  ln -s "$out" "$shared/link"
  swap "$shared" sub link
  race 8 ctr run --rm --network none --mount type=volume,source=shared,target=/s,volume-subpath=sub/part busybox cat /s/file
  stop_swap
  for answer in "${!seen[@]}"; do [ "$answer" = mine ] || [ "$answer" = failed ] || fail "a subpath by a link to $out: $answer"; done
done

# --- A source of the caller's own that is a directory at times and a file at others: what was found is what is mounted
mkdir -p "$work/own/dir"
echo inside >"$work/own/dir/name"
echo plain >"$work/own/file"
swap "$work/own" dir file
race 8 ctr run --rm --network none -v "$work/own/dir:/d" busybox sh -c 'if [ -d /d ]; then cat /d/name; else cat /d; fi'
stop_swap
for answer in "${!seen[@]}"; do [ "$answer" = inside ] || [ "$answer" = plain ] || fail "a source that is swapped: $answer: $(cat "$work/err")"; done
