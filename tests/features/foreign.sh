#!/usr/bin/env bash
# Programs of another architecture: RUN steps for two platforms in one build, and `run --platform`, with qemu-user
# installed and nothing registered; one sentence with the package's name where it is missing.
. "$(dirname "$0")/lib.bash"
need_root "emulators of other architectures are registered by root"
need_program apt-get dpkg-deb jq
[ "$(uname -m)" = x86_64 ] || skip "plays an amd64 machine"
[ -x /bin/busybox ] || skip "needs the package busybox-static"
command -v qemu-aarch64-static >/dev/null || skip "needs the package qemu-user-static"

# Debian's static busybox for arm64, through apt with a state of its own.
arm64_busybox() { # FILE
  local cache=${CTR_BASE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ctr-base-images}/busybox-arm64 apt=$work/apt
  if [ ! -e "$cache/busybox" ]; then
    mkdir -p "$cache" "$apt"/{state/lists/partial,cache/archives/partial}
    touch "$apt/state/status"
    local options=(-qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o "Dir::State=$apt/state"
      -o "Dir::State::status=$apt/state/status" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
    (cd "$apt" && apt-get "${options[@]}" update && apt-get "${options[@]}" download busybox-static:arm64) >"$work/apt.log" 2>&1 ||
      skip "the package busybox-static:arm64 can't be had here"
    dpkg-deb -x "$apt"/busybox-static_*_arm64.deb "$apt/tree"
    cp "$(find "$apt/tree" -path '*/bin/busybox' -type f | head -1)" "$cache/busybox.part" && mv "$cache/busybox.part" "$cache/busybox"
  fi
  cp "$cache/busybox" "$1"
}

registered=$(ls /proc/sys/fs/binfmt_misc 2>/dev/null || true)
case $registered in *qemu-aarch64*) skip "qemu-user is registered in this machine's binfmt_misc already" ;; esac

mkdir "$work/base"
cp /bin/busybox "$work/base/busybox-amd64"
arm64_busybox "$work/base/busybox-arm64"
cat >"$work/base/Dockerfile" <<'D'
FROM scratch
ARG TARGETARCH
COPY --chmod=0755 busybox-$TARGETARCH /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ENV PATH=/bin
CMD ["sh"]
D
ctr build --platform=linux/amd64,linux/arm64 -t tiny "$work/base" 2>"$work/build" || { cat "$work/build" >&2; fail "two platforms"; }

# The story's second Dockerfile, on the default network.
printf 'FROM tiny\nRUN uname -m >/machine && grep -q eth0 /proc/net/dev\nRUN cat /machine\n' >"$work/Dockerfile"
ctr build --progress=plain --platform=linux/amd64,linux/arm64 -t machines -f "$work/Dockerfile" "$work/base" 2>"$work/build" ||
  { cat "$work/build" >&2; fail "RUN uname -m"; }
has "$(cat "$work/build")" " x86_64"
has "$(cat "$work/build")" " aarch64"
is "$(ctr run --rm --network none --platform linux/amd64 machines cat /machine)" x86_64
is "$(ctr run --rm --network none --platform linux/arm64 machines cat /machine)" aarch64

# run, exec, a port's network, a second start.
is "$(ctr run --rm --platform linux/arm64 tiny uname -m)" aarch64
ctr run -d --name far --platform linux/arm64 tiny sleep 1000 >/dev/null
is "$(ctr exec far uname -m)" aarch64
ctr restart -t 0 far >/dev/null
is "$(ctr exec far sh -c 'uname -m; id -u')" "aarch64
0"
ctr rm -f far >/dev/null

# An image of the other platform alone: Docker's warning, and it runs.
ctr build -q --platform=linux/arm64 -t only-arm "$work/base" >/dev/null
is "$(ctr run --rm --network none only-arm uname -m 2>"$work/warning")" aarch64
has "$(cat "$work/warning")" "The requested image's platform (linux/arm64"
has "$(cat "$work/warning")" "does not match the detected host platform (linux/amd64"

# Without an emulator: the package's name, before any step, and nothing runs.
mkdir "$work/no-qemu"
for program in sh cat git; do ln -s "$(command -v $program)" "$work/no-qemu/$program"; done
status_is 125 env PATH="$work/no-qemu" "$CTR" run --rm --network none only-arm uname -m
has "$(cat "$work/err")" "qemu-aarch64 was not found; install the package qemu-user-static"
printf 'FROM tiny\nRUN echo no step runs\nRUN uname -m\n' >"$work/Dockerfile"
status_is 1 env PATH="$work/no-qemu" "$CTR" build --progress=plain --platform=linux/arm64 -f "$work/Dockerfile" "$work/base"
has "$(cat "$work/err")" "install the package qemu-user-static"
has_not "$(cat "$work/err")" "] RUN echo no step runs
#5 DONE"

is "$(ls /proc/sys/fs/binfmt_misc 2>/dev/null || true)" "$registered" "nothing may be registered on the host"
is "$(grep "$work" /proc/mounts | grep -c -e emulation -e binfmt || true)" 0 "nothing may stay mounted"
