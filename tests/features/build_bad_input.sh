#!/usr/bin/env bash
# Builds that must be refused: each with one sentence, soon, and in little memory, whatever is thrown at them.
. "$(dirname "$0")/lib.bash"
need_containers
need_program python3 git
[ -x /bin/busybox ] || skip "needs the package busybox-static"
busybox_image
mkdir "$work/c"
cd "$work/c"

# refused WORDS FLAGS...: one sentence with the words and no more than 256 MiB; a minute is what a loaded machine may take.
refused() {
  local words=$1 status=0
  shift
  python3 - "$work/rss" timeout 60 "$CTR" build --progress=plain --network none "$@" >"$work/out" 2>"$work/err" <<'P' || status=$?
import resource, subprocess, sys
status = subprocess.run(sys.argv[2:], check=False).returncode
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
P
  [ "$status" = 1 ] || { tail -c 2000 "$work/err" >&2; fail "$words: status $status"; }
  has "$(tail -c 4000 "$work/err")" "$words"
  is "$(grep -cE '^(ERROR|ctr):' "$work/err")" 1 "one sentence for: $words"
  [ "$(cat "$work/rss")" -le 262144 ] || fail "$words: $(cat "$work/rss") KiB"
}
dockerfile() { printf '%b' "$1" >Dockerfile; }

# (No names that could be the first digits of an image's id.)
dockerfile 'FROM second AS first\nFROM first AS second\n'
refused 'second' .
dockerfile 'FROM busybox AS one\nCOPY --from=two /x /x\nFROM busybox AS two\nCOPY --from=one /x /x\n'
refused 'two' .
dockerfile 'FROM busybox\nCOPY --from=nosuchstage /x /x\n'
refused 'nosuchstage' .
dockerfile 'FROM busybox\n'
refused 'target stage "nosuch" could not be found' --target nosuch .
dockerfile 'FROM busybox\nCOPY ../../etc/passwd /x\n'
refused '"/etc/passwd": not found' .
dockerfile 'FROM busybox\nCOPY /etc/passwd /x\n'
refused '"/etc/passwd": not found' .
ln -s / out
dockerfile 'FROM busybox\nCOPY out/etc/passwd /x\n'
refused '"/out/etc/passwd": not found' .
rm out

python3 -c 'print("FROM busybox\nRUN " + "x" * 10_000_000)' >Dockerfile
refused 'Dockerfile' .
python3 -c 'print("FROM busybox\n" + "ENV a=b\n" * 1_000_000)' >Dockerfile
refused 'instructions' .
printf 'FROM busybox\nRUN echo \xff\xfe\n' >Dockerfile
refused 'UTF-8' .
dockerfile 'FROM busybox\nRUN <<EOT\necho\n'
refused 'EOT' .
dockerfile 'FROM busybox\nRNU true\n'
refused 'did you mean RUN' .
dockerfile 'FROM busybox\nCOPY --chwon=1 a b\n'
refused 'did you mean' .

# Archives out of all proportion: zeros that compress well, and a hole that claims to be enormous.
python3 - <<'P'
import gzip, tarfile
info = tarfile.TarInfo("zeros")
info.size = 4 << 30
class Zeros:
    def read(self, size): return bytes(size)
with gzip.open("bomb.tar.gz", "wb", 9) as out, tarfile.open(fileobj=out, mode="w|") as tar:
    info.size = 300 << 20
    tar.addfile(info, Zeros())
P
dockerfile 'FROM busybox\nADD bomb.tar.gz /x/\n'
refused 'times its' .
truncate -s 1T hole && tar -cSf bomb.tar.gz hole && rm hole
refused 'times its' .
rm bomb.tar.gz

dockerfile 'FROM busybox\n'
refused "starts with '-'" 'https://example.com/x.git#--upload-pack=touch owned'
[ ! -e owned ] || fail "a git option was executed"

# A cache that lies about its blobs is not believed: one sentence, and without it the build works.
dockerfile 'FROM busybox\nRUN echo honest >/x\n'
ctr build --network none -q --cache-to "type=local,dest=$work/cache,mode=max" . >/dev/null
for blob in "$work"/cache/blobs/sha256/*; do
  [ "$(head -c 1 "$blob")" = '{' ] || printf 'lie' >>"$blob"
done
CTR_ROOT=$work/second CTR_RUN=$work/second-run
export CTR_ROOT CTR_RUN
busybox_image
status_is 1 ctr build --progress=plain --network none -t honest --cache-from "type=local,src=$work/cache" .
has "$(tail -1 "$work/err")" "can't be taken from the cache that offers it"
is "$(ctr images -q honest)" "" "an image from a lying cache"
ctr build --network none -q -t honest . >/dev/null
is "$(ctr run --rm --network none honest cat /x)" honest
ctr system reset -f >/dev/null
CTR_ROOT=$work/store CTR_RUN=$work/run
