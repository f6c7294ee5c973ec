#!/usr/bin/env bash
# RUN steps under the flags of build: limits, networks, jobs; all that they print is kept; --on-failure=shell; what is
# refused by name; --explain, --metadata-file, --iidfile, outputs.
. "$(dirname "$0")/lib.bash"
need_containers
need_program jq python3
busybox_image

mkdir "$work/app" && cd "$work/app"
dockerfile() { cat >Dockerfile; }

# ---- what steps print is kept whole ----
dockerfile <<'D'
FROM busybox
RUN i=0; while [ $i -lt 30000 ]; do echo "line $i of the step"; i=$((i+1)); done; exit 7
D
status_is 1 ctr build --network none .
has "$(cat "$work/err")" "exit code: 7"
log=$(sed -n 's/^(the whole output is in \(.*\))$/\1/p' "$work/err")
is "$(wc -l <"$log")" 30000 "lines of the kept output"
is "$(head -1 "$log")" "line 0 of the step"
is "$(grep -c '^#[0-9]* [0-9.]* line ' "$work/err")" 30000 "plain progress clips nothing"

# ---- --on-failure=shell ----
dockerfile <<'D'
FROM busybox
ENV WORD=hello
WORKDIR /srv
RUN echo made >file && false
D
status_is 1 ctr build --network none --on-failure=shell .
has "$(cat "$work/err")" "--on-failure=shell needs a terminal"
status_is 125 ctr build --on-failure=pause .
python3 - "$CTR" <<'P'
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "build", "--network", "none", "--on-failure=shell", "."])
screen = b""
def expect(text):
    global screen
    end = time.time() + 60
    while text not in screen:
        if time.time() > end:
            sys.exit(f"FAIL: waited for {text!r}, the screen shows {screen!r}")
        if select.select([fd], [], [], 0.1)[0]:
            try: screen += os.read(fd, 65536)
            except OSError: break
    if text not in screen: sys.exit(f"FAIL: ended without {text!r}: {screen!r}")
    screen = screen[screen.index(text) + len(text):]
expect(b"This is a shell in the failed step")
expect(b"# ")
os.write(fd, b"echo $WORD-$PWD-$(cat file)-$((6*7))\n")
expect(b"hello-/srv-made-42")
os.write(fd, b"test -t 0 && echo on-a-tty; exit\n")
expect(b"on-a-tty\r\n")
expect(b"failed to solve")
_, status = os.waitpid(pid, 0)
if os.waitstatus_to_exitcode(status) != 1: sys.exit(f"FAIL: status {status}")
P

# ---- limits ----
dockerfile <<'D'
FROM busybox
RUN x=$(head -c 100m /dev/zero | tr '\0' x); echo ${#x}
D
if is_root; then
  status_is 1 ctr build --network none --memory 32m .
  has "$(cat "$work/err")" "cannot allocate memory"
  ctr build -q --network none --memory 1g . >/dev/null
else # without a delegated cgroup: refused, not ignored
  ctr build --network none --memory 32m . >/dev/null 2>"$work/err" && fail "a limit that cannot be set was ignored"
fi
status_is 125 ctr build --memory lots .
status_is 125 ctr build --cpus none .

# Two stages would run at once; with one job they don't.
dockerfile <<'D'
FROM busybox AS a
RUN --mount=type=cache,id=jobs,target=/c mkdir /c/busy && sleep 0.3 && rmdir /c/busy
FROM busybox AS b
RUN --mount=type=cache,id=jobs,target=/c mkdir /c/busy && sleep 0.3 && rmdir /c/busy && true
FROM busybox
COPY --from=a /bin/true /a
COPY --from=b /bin/true /b
D
ctr build -q --network none --jobs 1 . >/dev/null
status_is 125 ctr build --jobs -3 .

# ---- --network NAME: a container of that network is reached, by name too ----
ctr network create stepnet >/dev/null
ctr run -d --name server --network stepnet busybox sh -c 'mkdir /w && echo from-the-server >/w/index.html && httpd -f -p 80 -h /w' >/dev/null
address=$(ctr inspect -f '{{(index .NetworkSettings.Networks "stepnet").IPAddress}}' server)
dockerfile <<D
FROM busybox
RUN i=0; until wget -qO- http://$address/; do i=\$((i+1)); [ \$i -lt 50 ] || exit 1; sleep 0.1; done
RUN wget -qO- http://server/
D
ctr build --progress plain --network stepnet . 2>"$work/out" || { cat "$work/out" >&2; fail "build in a named network"; }
is "$(grep -c from-the-server "$work/out")" 2
ctr rm -f server >/dev/null
ctr network rm stepnet >/dev/null
status_is 1 ctr build --network nowhere --no-cache .
has "$(cat "$work/err")" "network nowhere not found"

# ---- refused by name ----
for refused in "-v /a:/b" "--squash" "--device x" "--sbom" "--attest type=sbom" "--allow security.insecure" "--cpu-shares 5"; do
  # shellcheck disable=SC2086
  status_is 125 ctr build $refused .
  has "$(cat "$work/err")" "not supported" "$refused"
done
status_is 1 ctr build --provenance=mode=max .
has "$(cat "$work/err")" "provenance attestations are not supported yet"

# ---- --explain ----
mkdir "$work/explained" && cd "$work/explained"
dockerfile <<'D'
FROM busybox
ARG X
RUN echo $X
COPY a.c b.h /src/
D
echo 1 >a.c && echo 1 >b.h
ctr build --network none --explain --build-arg X=1 . 2>"$work/out"
has "$(cat "$work/out")" "no earlier build of this step is known"
ctr build --network none --explain --build-arg X=1 . 2>"$work/out"
has "$(cat "$work/out")" "COPY a.c b.h /src/: hit"
echo 2 >a.c && echo 2 >b.h
ctr build --network none --explain --build-arg X=1 . 2>"$work/out"
has "$(cat "$work/out")" "COPY a.c b.h /src/: 2 files changed: a.c, b.h"
ctr build --network none --explain --build-arg X=2 . 2>"$work/out"
has "$(cat "$work/out")" "ARG X 1 -> 2"
old=$(ctr image inspect -f '{{.Id}}' busybox)
printf 'FROM busybox\nRUN echo moved >/moved\n' | ctr build -q --network none -t busybox - >/dev/null
ctr build --network none --explain --build-arg X=2 . 2>"$work/out"
grep -qE 'base moved from sha256:[0-9a-f]{64} to sha256:[0-9a-f]{64}' "$work/out" || { cat "$work/out" >&2; fail "no word of the base"; }
ctr tag "$old" busybox

# ---- result files and outputs ----
printf 'FROM scratch\nCOPY a.c /\n' | dockerfile
ctr build -q -t files --iidfile "$work/iid" --metadata-file "$work/meta.json" . >"$work/quiet"
is "$(cat "$work/iid")" "$(ctr image inspect -f '{{.Id}}' files)"
is "$(cat "$work/quiet")" "$(cat "$work/iid")"
is "$(jq -r '."containerimage.config.digest"' "$work/meta.json")" "$(cat "$work/iid")"
for key in buildx.build.ref containerimage.digest containerimage.descriptor image.name; do
  jq -e --arg k "$key" 'has($k)' "$work/meta.json" >/dev/null || fail "metadata has no $key"
done
ctr build --load --progress plain . 2>"$work/out"
is "$(grep -c -- '--load does nothing here' "$work/out")" 1
ctr build -q -o "$work/tree" .
is "$(cat "$work/tree/a.c")" 2
ctr build -q -o - . | tar -tf - | grep -qx a.c
ctr build -q -o type=oci,dest="$work/oci.tar" .
tar -tf "$work/oci.tar" | grep -qx oci-layout
ctr build -q -o type=oci,tar=false,dest="$work/oci" .
jq -e '.manifests | length == 1' "$work/oci/index.json" >/dev/null
ctr build -q -o type=docker,dest="$work/docker.tar" -t dock:1 .
tar -xOf "$work/docker.tar" manifest.json | jq -e '.[0].RepoTags[0] | test("dock:1")' >/dev/null
ctr build -q -o type=image,name=out-a,compression=zstd . >/dev/null
ctr image inspect out-a >/dev/null
status_is 1 ctr build -o type=nonsense .
status_is 1 ctr build -o type=local,dest=x,nonsense=y .
