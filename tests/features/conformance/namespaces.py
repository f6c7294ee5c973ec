"""linux.namespaces, id mappings, time offsets, host and domain name."""
import os
import subprocess
import time

from harness import check, equal, holds, holds_not, Failed, Skip

FILES = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup", "user": "user",
         "time": "time"}


def own(kind):
    return os.readlink("/proc/self/ns/" + FILES[kind])


def inside(box, kind):
    return box.output("readlink /proc/self/ns/" + FILES[kind])


def with_user_namespace(box, size=1000):
    box.add_namespace("user")
    box.linux["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": size}]
    box.linux["gidMappings"] = [{"containerID": 0, "hostID": 200000, "size": size}]
    os.chmod(box.path, 0o755)
    for directory in (box.path, os.path.dirname(box.path)):
        os.chmod(directory, 0o755)


@check("each listed namespace is new")
def new_namespaces(box):
    for kind in ("pid", "network", "mount", "ipc", "uts", "cgroup", "time"):
        box.add_namespace(kind)
        if inside(box, kind) == own(kind):
            raise Failed(f"the {kind} namespace is the caller's")


@check("each namespace that is not listed is the caller's")
def shared_namespaces(box):
    box.config["mounts"] = [one for one in box.config["mounts"] if one["type"] != "sysfs"]
    for kind in ("network", "ipc", "uts", "cgroup", "time", "user"):
        box.drop_namespace(kind)
        equal(inside(box, kind), own(kind), kind)
    box.drop_namespace("pid")
    equal(inside(box, "pid"), own("pid"), "pid")


@check("namespaces are joined by path")
def joined(box):
    holder = subprocess.Popen(["unshare", "--net", "--ipc", "--uts", "--cgroup", "sh", "-c", "echo ready; exec sleep 1000"],
                              stdout=subprocess.PIPE, text=True)
    try:
        holder.stdout.readline()
        for kind in ("network", "ipc", "uts", "cgroup"):
            path = f"/proc/{holder.pid}/ns/{FILES[kind]}"
            box.add_namespace(kind, path)
            equal(inside(box, kind), os.readlink(path), kind)
    finally:
        holder.kill()
        holder.wait()


@check("the pid namespace of another container is joined by path")
def joined_pid(box):
    holder = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", "echo ready; exec sleep 1000"],
                              stdout=subprocess.PIPE, text=True)
    try:
        holder.stdout.readline()
        with open(f"/proc/{holder.pid}/task/{holder.pid}/children") as file:
            child = file.read().split()[0]
        box.add_namespace("pid", f"/proc/{child}/ns/pid")
        equal(inside(box, "pid"), os.readlink(f"/proc/{child}/ns/pid"))
        holds(box.output("ps"), "sleep 1000")
    finally:
        holder.kill()
        holder.wait()


@check("a path to a namespace of another kind, or to none, is an error")
def wrong_path(box):
    box.add_namespace("network", "/proc/self/ns/uts")
    box.refused("namespace")
    box.add_namespace("network", "/nosuch")
    box.refused("/nosuch")


@check("a namespace that is listed twice, or is not known, is an error")
def twice(box):
    box.linux["namespaces"].append({"type": "uts"})
    box.refused("uts", "twice")
    box.linux["namespaces"][-1] = {"type": "nosuch"}
    box.refused("nosuch")


@check("host and domain name are set in the container only")
def names(box):
    box.config["hostname"] = "box"
    box.config["domainname"] = "example.test"
    before = os.uname()
    equal(box.output("hostname; cat /proc/sys/kernel/domainname"), "box\nexample.test")
    equal(os.uname(), before, "the host's names")
    box.drop_namespace("uts")
    box.refused("uts")


@check("the program is pid 1 and sees only itself")
def pid_one(box):
    equal(box.output("echo $$; cat /proc/1/comm; set -- /proc/[0-9]*; echo $#"), "1\nsh\n1")


@check("a new network has a loopback that is up, and nothing else")
def loopback(box):
    equal(box.output("ip -o link | wc -l; ip -o addr show lo | grep -c 127.0.0.1"), "1\n1")


@check("clocks are shifted by their offsets")
def time_offsets(box):
    box.add_namespace("time")
    box.linux["timeOffsets"] = {"monotonic": {"secs": 1000, "nanosecs": 0}, "boottime": {"secs": 864000, "nanosecs": 5}}
    up = float(box.output("cat /proc/uptime").split()[0])
    here = float(open("/proc/uptime").read().split()[0])
    if not 863000 < up - here < 865000:
        raise Failed(f"uptime {up} inside, {here} outside")
    holds(box.output("tr -s ' ' </proc/self/timens_offsets"), "1000")
    box.drop_namespace("time")
    box.refused("time")


@check("ids are mapped, and root of the container is nobody special outside")
def id_maps(box):
    with_user_namespace(box)
    equal(box.output("id -u; tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map").split("\n"),
          ["0", " 0 100000 1000", " 0 200000 1000"])
    box.script("sleep 1000")
    box.started()
    fields = open(f"/proc/{box.pid()}/status").read()
    holds(fields, "Uid:\t100000")
    holds(fields, "Gid:\t200000")


@check("with a user namespace the whole of a container works: devices, mounts, hostname, exec")
def user_namespace(box):
    with_user_namespace(box, 65536)
    box.config["hostname"] = "mapped"
    box.add_namespace("cgroup")
    box.script("sleep 1000")
    box.started()
    got = box.must("exec", box.id, "sh", "-c", "id -u; hostname; echo x >/dev/null && head -c 1 /dev/zero | wc -c; "
                   "mount -t tmpfs none /tmp 2>/dev/null; stat -c %u /proc/1")
    equal(got.split("\n")[:3], ["0", "mapped", "1"])


@check("a user namespace without a mapping, and a mapping without one, are errors")
def mapping_errors(box):
    box.linux["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 10}]
    box.refused("user namespace")
    del box.linux["uidMappings"]
    box.add_namespace("user")
    box.refused("uidMappings")


@check("a cgroup namespace hides where the container's cgroup is")
def cgroup_namespace(box):
    box.add_namespace("cgroup")
    holds_not(box.output("cat /proc/self/cgroup"), box.id)
    box.drop_namespace("cgroup")
    holds(box.output("cat /proc/self/cgroup"), box.id)
