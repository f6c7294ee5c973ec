#!/usr/bin/env bash
# Where a build's files come from: standard input, git, HTTP, named contexts; and what steps are lent: secrets, agents,
# networks. Each with what must be refused.
. "$(dirname "$0")/lib.bash"
. "$here/tests/support/build_case.bash"
need_containers
need_program python3 git skopeo ssh-agent ssh-keygen
[ -x /bin/busybox ] || skip "needs the package busybox-static"

mkdir "$work/base"
corpus_base "$work/base"
ctr build -q -t corpus-base "$work/base" >/dev/null
corpus_server "$work"
started_pids+=("${server_pids[@]}")
url=http://127.0.0.1:$server_port git=git://127.0.0.1:$git_port/repository.git
build() { ctr build --progress=plain -t it "$@" >"$work/out" 2>"$work/err" || { cat "$work/err" >&2; fail "build $*"; }; }
# refused WORDS ARGUMENTS...: the build fails, and says the words.
refused() {
  local words=$1
  shift
  status_is 1 ctr build --progress=plain -t it "$@"
  has "$(cat "$work/err")" "$words" "build $*"
}
inside() { ctr run --rm --network none it "$@"; }
mkdir -p "$work/context/sub"
echo from-context >"$work/context/file"
echo in-sub >"$work/context/sub/inner"
printf 'FROM corpus-base\nCOPY . /c/\n' >"$work/context/Dockerfile"

# Standard input: a Dockerfile without a context, tars of any compression, a Dockerfile for a directory.
printf 'FROM corpus-base\nRUN echo stdin >/made\n' >"$work/only"
build - <"$work/only"
is "$(inside cat /made)" stdin
printf 'FROM corpus-base\nCOPY file /\n' | status_is 1 ctr build --progress=plain -
has "$(cat "$work/err")" '"/file": not found'
for flag in -c -cz -cj -cJ; do
  tar -C "$work/context" "$flag" -f "$work/tar" .
  build - <"$work/tar"
  is "$(inside cat /c/sub/inner)" in-sub "tar $flag"
done
build -f sub/inner2 - < <(printf 'FROM corpus-base\nCOPY file /f\n' >"$work/context/sub/inner2" && tar -C "$work/context" -c . | cat)
is "$(inside cat /f)" from-context
build -f - "$work/context" <<<"$(printf 'FROM corpus-base\nCOPY sub/inner /i\n')"
is "$(inside cat /i)" in-sub
refused "standard input is empty" - </dev/null
rm "$work/context/sub/inner2"

# Git: default branch, tag, branch with a subdirectory, commit; what would reach git's or ssh's command line.
for each in "$git" "$git#v1" "$git#side:sub" "$git#main"; do build -f - "$each" <<<"$(printf 'FROM corpus-base\nCOPY . /g/\n')"; done
is "$(inside cat /g/file)" two
build -f - "$git#v1" <<<"$(printf 'FROM corpus-base\nCOPY . /g/\n')"
is "$(inside cat /g/file)" one
build -f - "$git#side:sub" <<<"$(printf 'FROM corpus-base\nCOPY . /g/\n')"
is "$(inside ls /g)" "inner
side"
commit=$(git -C "$work/git/repository.git" rev-parse v1)
build -f - "$git#$commit" <<<"$(printf 'FROM corpus-base\nCOPY . /g/\n')"
is "$(inside cat /g/file)" one
refused "couldn't find remote ref" "$git#no-such-branch"
refused "starts with '-'" "$git#--upload-pack=touch $work/owned"
refused "starts with '-'" "git://-oProxyCommand=touch $work/owned/x.git"
refused "starts with '-'" "ssh://-oProxyCommand=x/y.git"
refused "not allowed" "ext::sh -c touch% $work/owned"
printf 'FROM corpus-base\nADD git://127.0.0.1:%s/repository.git#--upload-pack=x /g\n' "$git_port" >"$work/only"
refused "starts with '-'" -f "$work/only" "$work/context"
[ ! -e "$work/owned" ] || fail "a git option was executed"

# HTTP: a tarball is a context, anything else a Dockerfile.
tar -C "$work/context" -czf "$work/www/context.tar.gz" .
cp "$work/context/Dockerfile" "$work/www/Remotefile"
printf 'FROM corpus-base\nRUN echo http >/made\n' >"$work/www/Remotefile"
build "$url/context.tar.gz"
is "$(inside cat /c/file)" from-context
build "$url/Remotefile"
is "$(inside cat /made)" http
refused "404" "$url/no-such-thing"

# Named contexts: a directory, git, HTTP, an image, an OCI layout; as a base and as a source.
mkdir "$work/other"
echo other >"$work/other/o"
printf 'FROM corpus-base\nRUN echo layout >/o\n' >"$work/only"
build -f "$work/only" "$work/context"
ctr tag it named
ctr build -q -o "type=oci,dest=$work/layout,tar=false" -f "$work/only" "$work/context" >/dev/null
printf 'FROM corpus-base\nCOPY --from=there /o /o\n' >"$work/only"
build -f "$work/only" --build-context "there=$work/other" "$work/context"
is "$(inside cat /o)" other
build -f "$work/only" --build-context there=docker-image://named "$work/context"
is "$(inside cat /o)" layout
build -f "$work/only" --build-context "there=oci-layout://$work/layout" "$work/context"
is "$(inside cat /o)" layout
printf 'FROM base-of-mine\nCOPY --from=there /file /o\nRUN --mount=from=there,target=/m cat /m/file >/m2\n' >"$work/only"
build -f "$work/only" --build-context base-of-mine=docker-image://named --build-context "there=$git#v1" "$work/context"
is "$(inside cat /o /m2)" "one
one"
build -f "$work/only" --build-context base-of-mine=docker-image://named --build-context "there=$url/context.tar.gz" "$work/context"
is "$(inside cat /o)" from-context
refused "not found" -f "$work/only" --build-context base-of-mine=docker-image://named --build-context "there=$work/missing" "$work/context"

# ADD with a checksum that is wrong, and of a link out of the context.
printf 'FROM corpus-base\nADD --checksum=sha256:%064d %s/file.txt /\n' 0 "$url" >"$work/only"
refused "digest mismatch" -f "$work/only" "$work/context"
ln -s /etc "$work/context/out"
printf 'FROM corpus-base\nCOPY out/hostname /\n' >"$work/only"
refused '"/out/hostname": not found' -f "$work/only" "$work/context"
rm "$work/context/out"

# Secrets from a file and from the environment; one that must be there and is not.
printf 'FROM corpus-base\nRUN --mount=type=secret,id=file --mount=type=secret,id=var,env=V echo "$(cat /run/secrets/file) $V" >/s\n' >"$work/only"
echo secret-file >"$work/secret"
VAR=secret-var build -f "$work/only" --secret "id=file,src=$work/secret" --secret id=var,env=VAR "$work/context"
is "$(inside cat /s)" "secret-file secret-var"
printf 'FROM corpus-base\nRUN --mount=type=secret,id=x,required true\n' >"$work/only"
refused "secret x: not found" -f "$work/only" "$work/context"

# An agent with a key file, as another user of the step; the caller's own agent; none.
ssh-keygen -q -t ed25519 -N '' -C key-of-the-test -f "$work/key"
mkdir "$work/ssh"
cp "$(command -v ssh-add)" "$work/ssh/"
ldd "$work/ssh/ssh-add" | grep -oE '/[^ ]+' | while read -r library; do cp --parents -L "$library" "$work/ssh/"; done
cat >"$work/only" <<'D'
FROM corpus-base
COPY ssh/ /
USER app
RUN --mount=type=ssh,uid=1000,mode=0600 --mount=type=cache,uid=1000,target=/home/app /ssh-add -l >/tmp/keys && stat -c '%a %u' "$SSH_AUTH_SOCK" >>/tmp/keys
D
build -f "$work/only" --ssh "default=$work/key" "$work"
has "$(inside cat /tmp/keys)" key-of-the-test
has "$(inside cat /tmp/keys)" "600 1000"
eval "$(ssh-agent -a "$work/agent")" >/dev/null
started_pids+=("$SSH_AGENT_PID")
ssh-keygen -q -t ed25519 -N '' -C key-of-the-caller -f "$work/key2"
ssh-add -q "$work/key2"
build --no-cache -f "$work/only" --ssh default "$work"
has "$(inside cat /tmp/keys)" key-of-the-caller
unset SSH_AUTH_SOCK
refused "SSH_AUTH_SOCK" --no-cache -f "$work/only" --ssh default "$work"
refused "can't be used" --no-cache -f "$work/only" --ssh "default=$work/secret" "$work"

# Networks of steps.
printf 'FROM corpus-base\nRUN sed -n "s/^ *\\([a-z0-9]*\\):.*/\\1/p" /proc/net/dev | sort | tr "\\n" " " >/devices\n' >"$work/only"
build --network none -f "$work/only" "$work/context"
is "$(inside cat /devices)" "lo "
build --network default -f "$work/only" "$work/context"
has "$(inside cat /devices)" "eth0 "
build --network host -f "$work/only" "$work/context"
ctr network create mine >/dev/null
build --network mine -f "$work/only" "$work/context"
has "$(inside cat /devices)" "eth0 "
refused "no-such-network" --network no-such-network -f "$work/only" "$work/context"
printf 'FROM corpus-base\nRUN --network=host true\n' >"$work/only"
refused "network.host is not allowed" -f "$work/only" "$work/context"
build --allow network.host -f "$work/only" "$work/context"

# A cache mount keeps its files, apart for another id, and BUILDKIT_CACHE_MOUNT_NS keeps whole builds apart.
printf 'FROM corpus-base\nRUN --mount=type=cache,target=/k echo x >>/k/f && cat /k/f >/n\n' >"$work/only"
build --no-cache -f "$work/only" "$work/context"
build --no-cache -f "$work/only" "$work/context"
is "$(inside cat /n)" "x
x"
build --no-cache --build-arg BUILDKIT_CACHE_MOUNT_NS=apart -f "$work/only" "$work/context"
is "$(inside cat /n)" x
