# Building one end-to-end case of testdata/dockerfiles with any tool that speaks docker's command line. A case is a folder
# built-NAME with a Dockerfile; context.sh makes the context in an empty directory, flags holds one flag of `build` a line,
# and image.json is what the image must be (tests/support/image_record.py).
corpus=$here/testdata/dockerfiles

# A busybox root with users, a directory with files and links, the same bytes on every machine with the same busybox.
corpus_base() { # DIRECTORY
  local root=$1/root applet
  mkdir -p "$root"/{bin,dev,etc,home/app,proc,root,sys,tmp,usr/bin,var/lib/data}
  cp /bin/busybox "$root/bin/busybox"
  for applet in sh ls cat echo id rm mv mkdir ln chmod chown touch env test stat true false uname find head sed grep mknod cut sort sleep tar printenv readlink; do
    ln -s busybox "$root/bin/$applet"
  done
  printf 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\nother:x:2000:2000::/:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\napp:x:1001:\nother:x:2000:\nextra:x:3000:app\n' >"$root/etc/group"
  printf 'one\n' >"$root/var/lib/data/one"
  printf 'two\n' >"$root/var/lib/data/two"
  ln -s /var/lib/data "$root/data-link"
  ln -s missing/target "$root/broken-link"
  chmod 1777 "$root/tmp"
  chmod 0750 "$root/home/app"
  tar -C "$root" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1000000000 -cf "$1/rootfs.tar" .
  rm -rf "$root"
  printf 'FROM scratch\nADD rootfs.tar /\nENV PATH=/usr/bin:/bin BASE=yes\nCMD ["sh"]\nLABEL base=corpus\n' >"$1/Dockerfile"
}

# The servers that ADD asks: files with a fixed Last-Modified over HTTP, and a repository by git's own protocol. Sets
# server_port, git_port and server_pids.
corpus_server() { # DIRECTORY
  mkdir -p "$1/www"
  printf 'downloaded\n' >"$1/www/file.txt"
  printf 'inside\n' >"$1/www/inside.txt"
  tar -C "$1/www" --owner=7 --group=7 --numeric-owner --mtime=@1000000000 --mode=0640 -czf "$1/www/archive.tar.gz" inside.txt
  touch -d @1100000000 "$1"/www/*
  python3 -u -m http.server --directory "$1/www" --bind 127.0.0.1 0 >"$1/http.log" 2>&1 &
  server_pids=($!)
  until server_port=$(sed -nE 's/.* port ([0-9]+) .*/\1/p' "$1/http.log") && [ -n "$server_port" ]; do sleep 0.05; done
  corpus_repository "$1/git/repository.git" "$1/git-work"
  git_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  "$(git --exec-path)/git-daemon" --reuseaddr --listen=127.0.0.1 --port="$git_port" --export-all --base-path="$1/git" 2>"$1/git.log" &
  server_pids+=($!)
  until git ls-remote "git://127.0.0.1:$git_port/repository.git" >/dev/null 2>&1; do sleep 0.05; done
}

# A bare repository with a tag v1, a branch side and one commit more on main.
corpus_repository() ( # BARE WORK
  export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com
  export GIT_AUTHOR_DATE='1200000000 +0000' GIT_COMMITTER_DATE='1200000000 +0000' GIT_CONFIG_NOSYSTEM=1 HOME=$2
  umask 022
  git init -q -b main "$2"
  cd "$2"
  mkdir sub
  echo one >file
  echo sub >sub/inner
  printf '#!/bin/sh\n' >run.sh
  chmod 0755 run.sh
  ln -s file link
  git add . && git commit -qm one && git tag v1
  git checkout -qb side && echo side >sub/side && git add . && git commit -qm side
  git checkout -q main && echo two >file && git commit -qam two
  git clone -q --bare . "$1"
)

# build_case NAME TAG CONTEXT COMMAND...: makes the context and builds it; COMMAND is the tool up to `build`.
build_case() {
  local name=$1 tag=$2 context=$3 line
  shift 3
  local flags=()
  mkdir -p "$context"
  [ ! -e "$corpus/$name/context.sh" ] || (cd "$context" && umask 022 && bash -eu "$corpus/$name/context.sh")
  cp "$corpus/$name/Dockerfile" "$context/Dockerfile"
  if [ -e "$corpus/$name/flags" ]; then
    while IFS= read -r line; do
      line=${line//@PORT@/$server_port}
      line=${line//@GITPORT@/$git_port}
      flags+=("${line//@CONTEXT@/$context}")
    done <"$corpus/$name/flags"
  fi
  "$@" build ${flags[@]+"${flags[@]}"} -t "$tag" "$context"
}
