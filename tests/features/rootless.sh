#!/usr/bin/env bash
# What an ordinary user types, with subordinate ids and with a single id: the same program in a user namespace. As root
# it makes two such users for the time of the test; as an ordinary user it tries what that user has.
. "$(dirname "$0")/lib.bash"
need_program setpriv

# as NAME COMMAND...: in a login without anything of ours.
as() {
  local name=$1
  shift
  setpriv --reuid "$name" --regid "$(id -g "$name")" --init-groups --reset-env \
    env PATH="$PATH" CTR="$CTR" "$@"
}
user_ctr() { as "$user" env XDG_RUNTIME_DIR="$base/$user-run" XDG_DATA_HOME="$base/$user-data" DOCKER_CONFIG="$base/$user-config" "$CTR" "$@"; }
remove_users() {
  local name
  for name in "${users[@]}"; do
    user=$name user_ctr system reset --force >/dev/null 2>&1
    userdel "$name" 2>/dev/null
    sed -i "/^$name:/d" /etc/subuid /etc/subgid
  done
  rm -rf "$base"
}

need_root
users=("ctr-many-$$" "ctr-one-$$")
base=$(mktemp -d /var/tmp/ctr-rootless.XXXXXX)
chmod 755 "$base"
trap 'status=$?; set +e; remove_users; (exit $status); cleanup' EXIT
first=$((1000000000 + $$ % 10000 * 65536))
for user in "${users[@]}"; do
  useradd --no-create-home --home-dir "$base/$user-home" --shell /bin/sh "$user"
  sed -i "/^$user:/d" /etc/subuid /etc/subgid
  for part in home run data config; do install -d -m 700 -o "$user" "$base/$user-$part"; done
done
echo "${users[0]}:$first:65536" | tee -a /etc/subuid >>/etc/subgid
as "${users[0]}" test -x "$CTR" || skip "needs a build that other users can reach"
as "${users[0]}" unshare --user true || skip "needs user namespaces for ordinary users"

busybox_image
ctr save -o "$base/busybox.tar" busybox
chmod 644 "$base/busybox.tar"
mkdir "$base/context"
printf 'FROM busybox\nRUN echo built >/built && id -u >/who\nCOPY --chown=33:33 file /dir/file\nENV A=b\nCMD cat /built /dir/file\n' >"$base/context/Dockerfile"
echo copied >"$base/context/file"
chmod -R a+rX "$base/context"

story() {
  has "$(user_ctr load -i "$base/busybox.tar")" busybox
  has "$(user_ctr images)" busybox
  has "$(user_ctr info)" "$base/$user-data/ctr"
  is "$(user_ctr run --rm --network none busybox echo hello)" hello "$user run"
  is "$(user_ctr run --rm --network host busybox id -u)" 0 "$user id"
  status_is 3 user_ctr run --rm --network none busybox sh -c 'exit 3'
  status_is 127 user_ctr run --rm --network none busybox nosuchprogram
  # What a container makes in a bind mount belongs to the user.
  as "$user" mkdir -p "$base/$user-home/shared"
  user_ctr run --rm --network none -v "$base/$user-home/shared:/shared" busybox touch /shared/made
  is "$(stat -c %U "$base/$user-home/shared/made")" "$user"
  # Build: RUN, COPY with another owner, ENV; the second time from the cache.
  user_ctr build -q -t app "$base/context" >"$work/id"
  is "$(user_ctr build -q -t app "$base/context")" "$(cat "$work/id")" "$user rebuild"
  is "$(user_ctr run --rm --network none app)" "built
copied"
  # The layer says what was asked for, whatever this user can hold.
  user_ctr save -o "$base/$user-data/app.tar" app
  # A detached one: exec, logs, ps, stop, start, rm.
  user_ctr run -d --name web --network none busybox sh -c 'echo out; exec sleep 1000' >/dev/null
  is "$(user_ctr exec web echo inside)" inside
  eventually 10 bash -c "$(declare -f as user_ctr); base=$base user=$user CTR=$CTR; user_ctr logs web | grep -q out"
  has "$(user_ctr ps)" web
  is "$(user_ctr inspect -f '{{.State.Status}}' web)" running
  user_ctr stop web >/dev/null
  has "$(user_ctr ps -a --format '{{.Status}}')" "Exited (143)"
  user_ctr start web >/dev/null
  user_ctr rm -f web >/dev/null
  # Volumes.
  user_ctr run --rm --network none -v data:/data busybox sh -c 'echo kept >/data/file'
  is "$(user_ctr run --rm --network none -v data:/data busybox cat /data/file)" kept
  user_ctr volume rm data >/dev/null
  # Networks: names, and a port that is reached from the host.
  user_ctr network create net >/dev/null
  port=$(free_port)
  user_ctr run -d --name server --network net -p "127.0.0.1:$port:80" busybox \
    sh -c 'mkdir /www; echo page >/www/index.html; exec httpd -f -p 80 -h /www' >/dev/null 2>"$work/warnings"
  eventually 20 curl -fsS "http://127.0.0.1:$port/"
  is "$(curl -fsS "http://127.0.0.1:$port/")" page
  is "$(user_ctr run --rm --network net busybox wget -qO- http://server/)" page
  has "$(user_ctr port server)" "127.0.0.1:$port"
  user_ctr rm -f server >/dev/null
  user_ctr network rm net >/dev/null
  # Nothing is left of it.
  is "$(user_ctr ps -aq)" ""
}

user=${users[0]}
story
is "$(user_ctr run --rm --network none -u 33 app sh -c 'id -u; stat -c %u:%g /dir/file')" "33
33:33"

user=${users[1]}
story
status_is 125 user_ctr run --rm --network none -u 33 busybox true
has "$(cat "$work/err")" "/etc/subuid"

# A name that only the other store has.
status_is 1 user_ctr rm nosuch
if [ -e /var/lib/ctr/version ]; then has "$(cat "$work/err")" "root has a store of its own"; fi
