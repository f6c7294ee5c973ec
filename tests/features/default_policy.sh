#!/usr/bin/env bash
# What `ctr run` gives and takes from a container: Docker's default policy, and each flag that changes it, as a program
# inside sees it. The OCI schema validates every config.json that was written on the way.
. "$(dirname "$0")/lib.bash"
need_root "it compares with the machine's own namespaces and capabilities"
busybox_image
run() { ctr run --rm --network none "$@"; }
capabilities_of() { awk '/^Cap(Inh|Prm|Eff|Bnd|Amb)/ { printf "%s ", $2 }' "$1"; }
own_bounding=$(awk '/^CapBnd/ { print $2 }' /proc/self/status)
masked_with() { printf '%016x' $((0x$1 & 0x$own_bounding)); } # what this machine's root may give
keep() { cp "$CTR_ROOT/containers/$1/config.json" "$work/configs/$2.json"; }
mkdir "$work/configs"

# The default: capabilities, filter, paths, devices, sysctls, mounts.
run busybox cat /proc/self/status >"$work/status"
default=$(masked_with a80425fb)
is "$(capabilities_of "$work/status")" "0000000000000000 $default $default $default 0000000000000000 " "the capabilities"
has "$(cat "$work/status")" "Seccomp:	2" "the filter"
has "$(cat "$work/status")" "NoNewPrivs:	0" "no_new_privs"
is "$(run busybox sh -c 'wc -c </proc/keys; wc -c </proc/timer_list; ls /sys/firmware | wc -l; ls /proc/scsi 2>/dev/null | wc -l')" "0
0
0
0" "masked paths"
is "$(run busybox sh -c 'for p in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/default_smp_affinity; do
  (echo x >$p) 2>/dev/null && echo $p; done; touch /sys/x 2>/dev/null || echo fixed')" fixed "read-only paths"
core=$([ ! -e /proc/kcore ] || echo "core ")  # a link to where the kernel has one
is "$(run busybox sh -c 'ls /dev | tr "\n" " "')" "${core}fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero " "/dev"
is "$(run busybox cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" 0 "the port sysctl"
is "$(run busybox sh -c 'for m in /proc /dev /dev/pts /sys /dev/mqueue /dev/shm; do grep " $m " /proc/mounts | cut -d" " -f3 | head -1; done | tr "\n" " "')" \
  "proc tmpfs devpts sysfs mqueue tmpfs " "the mounts"
is "$(run busybox sh -c 'df -k /dev/shm | tail -1 | awk "{print \$2}"')" 65536 "the size of /dev/shm"
for call in "unshare -U true" "mount -t tmpfs none /tmp" "mknod /tmp/x b 7 0"; do
  case $call in mknod*) continue ;; esac
  ! run busybox sh -c "$call" >/dev/null 2>&1 || fail "$call is allowed"
done

# --privileged
run --privileged busybox cat /proc/self/status >"$work/status"
is "$(capabilities_of "$work/status" | cut -d' ' -f3)" "$own_bounding" "--privileged: capabilities"
has "$(cat "$work/status")" "Seccomp:	0" "--privileged: the filter"
is "$(run --privileged busybox sh -c 'mount -t tmpfs none /tmp && echo mounted; test -e /dev/loop-control -o -e /dev/kmsg && echo devices')" \
  "mounted
devices" "--privileged"

# --cap-add, --cap-drop
run --cap-drop ALL --cap-add CHOWN --cap-add cap_kill busybox cat /proc/self/status >"$work/status"
is "$(capabilities_of "$work/status" | cut -d' ' -f3,4)" "0000000000000021 0000000000000021" "--cap-drop ALL --cap-add"
run --cap-add ALL --cap-drop NET_RAW busybox cat /proc/self/status >"$work/status"
is "$(capabilities_of "$work/status" | cut -d' ' -f3)" "$(printf '%016x' $((0x$own_bounding & ~0x2000)))" "--cap-add ALL --cap-drop"
status_is 125 run --cap-add NOSUCH busybox true
has "$(cat "$work/err")" NOSUCH "an unknown capability"
# What a capability allows, the profile allows too.
is "$(run --cap-add SYS_ADMIN busybox sh -c 'mount -t tmpfs none /tmp && echo mounted')" mounted "--cap-add SYS_ADMIN"

# --security-opt
has "$(run --security-opt seccomp=unconfined busybox cat /proc/self/status)" "Seccomp:	0" "seccomp=unconfined"
echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}' >"$work/profile.json"
has "$(run --security-opt seccomp="$work/profile.json" busybox mkdir /x 2>&1 || true)" "No space left" "seccomp=FILE"
status_is 125 run --security-opt seccomp=/nosuch busybox true
has "$(run --security-opt no-new-privileges busybox cat /proc/self/status)" "NoNewPrivs:	1" "no-new-privileges"
has "$(run --security-opt systempaths=unconfined busybox sh -c 'wc -l </proc/timer_list')" "" "systempaths=unconfined"
is "$(run --security-opt systempaths=unconfined busybox sh -c 'grep -c " /proc/" /proc/mounts')" 0 "systempaths=unconfined" || true
run --security-opt apparmor=unconfined --security-opt label=disable busybox true
if [ ! -e /sys/module/apparmor ]; then
  status_is 125 run --security-opt apparmor=mine busybox true
  has "$(cat "$work/err")" AppArmor "a profile without AppArmor"
fi
if [ ! -e /sys/fs/selinux/enforce ]; then
  status_is 125 run --security-opt label=type:mine_t busybox true
  has "$(cat "$work/err")" SELinux "a label without SELinux"
fi
status_is 125 run --security-opt nosuch=1 busybox true
has "$(cat "$work/err")" nosuch "an unknown option"

# --read-only, --tmpfs
is "$(run --read-only --tmpfs /scratch:size=1m,mode=750 busybox sh -c 'touch /x 2>/dev/null || echo refused; touch /scratch/x && stat -c %a /scratch;
  df -k /scratch | tail -1 | awk "{print \$2}"; grep " /scratch " /proc/mounts | grep -c noexec')" "refused
750
1024
1" "--read-only --tmpfs"

# Namespaces of the host and of other containers.
for kind in pid ipc uts cgroup; do
  flag=--$kind
  [ $kind != cgroup ] || flag=--cgroupns
  is "$(run $flag host busybox readlink /proc/self/ns/$kind)" "$(readlink /proc/self/ns/$kind)" "$flag host"
done
[ "$(run --cgroupns private busybox readlink /proc/self/ns/cgroup)" != "$(readlink /proc/self/ns/cgroup)" ] || fail "--cgroupns private"
status_is 125 run --userns private busybox true
has "$(cat "$work/err")" --userns "a user namespace of its own"
is "$(run --userns host busybox readlink /proc/self/ns/user)" "$(readlink /proc/self/ns/user)" "--userns host"
ctr run -d --name base --ipc shareable --network none --cpus 0.5 --memory 64m --memory-reservation 32m --pids-limit 99 --cpu-shares 512 \
  --device /dev/null:/dev/mine:r --device-cgroup-rule 'c 10:229 rwm' --blkio-weight 300 --oom-score-adj 200 --shm-size 32m -t \
  --annotation a=b --health-cmd true --add-host a:1.2.3.4 --dns 1.1.1.1 --stop-timeout 0 busybox sleep 1000 >/dev/null 2>"$work/err" || { cat "$work/err"; fail "a container with many flags"; }
id=$(ctr inspect --format '{{.Id}}' base)
keep "$id" base
for kind in pid ipc; do
  is "$(run --$kind container:base busybox readlink /proc/self/ns/$kind)" "$(ctr exec base readlink /proc/self/ns/$kind)" "--$kind container:"
done
is "$(ctr run --rm --network container:base busybox readlink /proc/self/ns/net)" "$(ctr exec base readlink /proc/self/ns/net)" "--network container:"
ctr rm -f base >/dev/null

# --sysctl, --group-add, --ulimit, --user
is "$(run --sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=9999 busybox cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax)" "1
9999" "--sysctl"
status_is 125 run --sysctl kernel.panic=1 busybox true
has "$(cat "$work/err")" kernel.panic "a sysctl of the host"
is "$(run --user 5:6 --group-add 77 --group-add root busybox id -G)" "6 0 77" "--group-add"
is "$(run --ulimit nofile=100:200 --ulimit core=0 busybox sh -c 'ulimit -n; ulimit -Hn; ulimit -c')" "100
200
0" "--ulimit"

# Every config.json: one more container for each flag that changes it.
number=0
while read -r flags; do
  number=$((number + 1))
  # shellcheck disable=SC2086
  id=$(ctr run -d --network none $flags busybox sleep 1000)
  keep "$id" "$number"
  ctr rm -f "$id" >/dev/null
done <<FLAGS

--privileged
--cap-drop ALL --read-only --tmpfs /t:exec --security-opt no-new-privileges
--security-opt seccomp=unconfined --security-opt systempaths=unconfined
--security-opt seccomp=$work/profile.json --user 5:6 --group-add 7
--pid host --ipc host --uts host --cgroupns host
--init --volume /tmp:/here:ro,rshared --ulimit nofile=10 --workdir /w
--sysctl net.ipv4.ip_forward=1 --hostname h --domainname d.test --memory 32m --memory-swap 64m --cpuset-cpus 0
FLAGS
[ "$(ls "$work/configs" | wc -l)" -ge 9 ] || fail "config files: $(ls "$work/configs")"
ln -s "$(realpath "$CTR")" "$work/ctr-oci"
mkdir "$work/spec" "$work/rootless"
"$work/ctr-oci" spec --bundle "$work/spec"
"$work/ctr-oci" spec --rootless --bundle "$work/rootless"
cp "$work/spec/config.json" "$work/configs/spec.json"
cp "$work/rootless/config.json" "$work/configs/spec-rootless.json"
"$work/ctr-oci" features >"$work/features.json"
for schema in "$here/../shared/data/oci-schema/runtime" "$here/../../shared/data/oci-schema/runtime"; do
  [ ! -d "$schema" ] || break
done
[ -d "$schema" ] || skip "all but the schema passed; the OCI schema is not here (shared/data/oci-schema)"
python=
for candidate in python3 /usr/bin/python3; do
  ! $candidate -c 'import jsonschema' 2>/dev/null || { python=$candidate; break; }
done
[ -n "$python" ] || skip "all but the schema passed; needs the package python3-jsonschema"
cat >"$work/validate.py" <<'PY'
import json, os, sys
import jsonschema
directory = sys.argv[1]
store = {}
for name in os.listdir(directory):
    with open(os.path.join(directory, name)) as file:
        store["file://" + os.path.join(directory, name)] = json.load(file)
def validate(schema, path):
    base = "file://" + os.path.join(directory, schema)
    document = {key: value for key, value in store[base].items() if key not in ("id", "$id")}
    resolver = jsonschema.RefResolver(base, document, store=store)
    errors = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in
              jsonschema.Draft4Validator(document, resolver=resolver).iter_errors(json.load(open(path)))]
    for error in errors:
        print(path, error, file=sys.stderr)
    return not errors
good = all([validate("config-schema.json", path) for path in sys.argv[3:]] + [validate("features-schema.json", sys.argv[2])])
with open(sys.argv[3]) as file:
    broken = json.load(file)
broken["process"]["cwd"] = 5
with open(sys.argv[2] + ".broken", "w") as file:
    json.dump(broken, file)
sys.stderr = open(os.devnull, "w")
assert not validate("config-schema.json", sys.argv[2] + ".broken"), "the schema takes anything"
sys.exit(0 if good else 1)
PY
$python -W ignore "$work/validate.py" "$(realpath "$schema")" "$work/features.json" "$work"/configs/*.json
echo "default policy: ok"
