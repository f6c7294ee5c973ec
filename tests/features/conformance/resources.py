"""linux.devices, linux.resources and linux.cgroupsPath of config.json."""
import json
import os

from harness import check, equal, holds, is_v1, Failed, Skip


def limited(box, resources, v1, want, v2=None, want_v2=None):
    """The file of the cgroup while the container lives."""
    box.linux["resources"] = resources
    box.script("sleep 1000")
    box.started()
    got = box.cgroup_value(v1, v2)
    box.must("delete", "--force", box.id)
    if got is None:
        raise Skip(f"this machine has no {v1 if is_v1() else v2}")
    equal(got, str(want if is_v1() or want_v2 is None else want_v2), v1 if is_v1() else v2)


@check("the container is in the cgroup of cgroupsPath, in every hierarchy")
def cgroups_path(box):
    box.script("sleep 1000")
    box.started()
    for line in open(f"/proc/{box.pid()}/cgroup").read().splitlines():
        controllers, path = line.split(":", 2)[1:]
        if controllers.startswith("name=") or (is_v1() and not controllers):
            continue
        equal(path, box.linux["cgroupsPath"], controllers)


@check("the cgroup goes with the container, and the ones above it that are not ours stay")
def cgroup_removed(box):
    box.output("true")
    for base in ("/sys/fs/cgroup", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory"):
        if os.path.exists(base + box.linux["cgroupsPath"]):
            raise Failed("the cgroup stayed in " + base)


@check("memory: limit, reservation and swap")
def memory(box):
    limited(box, {"memory": {"limit": 64 << 20}}, "memory/memory.limit_in_bytes", 64 << 20, "memory.max")
    limited(box, {"memory": {"limit": 64 << 20, "reservation": 32 << 20}}, "memory/memory.soft_limit_in_bytes", 32 << 20,
            "memory.low")


@check("memory.swappiness and disableOOMKiller, where the kernel has them")
def memory_v1(box):
    if not is_v1():
        raise Skip("cgroup v2 has neither")
    limited(box, {"memory": {"swappiness": 10}}, "memory/memory.swappiness", 10)
    box.linux["resources"] = {"memory": {"limit": 64 << 20, "disableOOMKiller": True}}
    box.script("sleep 1000")
    box.started()
    holds(box.cgroup_value("memory/memory.oom_control"), "oom_kill_disable 1")


@check("cpu: shares, quota and period, burst, idle")
def cpu(box):
    limited(box, {"cpu": {"shares": 512}}, "cpu/cpu.shares", 512, "cpu.weight", 20)
    limited(box, {"cpu": {"quota": 50000, "period": 200000}}, "cpu/cpu.cfs_quota_us", 50000, "cpu.max", "50000 200000")
    if is_v1():
        limited(box, {"cpu": {"quota": 50000, "period": 200000}}, "cpu/cpu.cfs_period_us", 200000)
    limited(box, {"cpu": {"quota": 50000, "period": 100000, "burst": 10000}}, "cpu/cpu.cfs_burst_us", 10000,
            "cpu.max.burst")
    limited(box, {"cpu": {"idle": 1}}, "cpu/cpu.idle", 1, "cpu.idle")


@check("cpuset: processors and memory nodes")
def cpuset(box):
    if not is_v1() and "cpuset" not in open("/sys/fs/cgroup/cgroup.controllers").read().split():
        raise Skip("this kernel has no cpuset controller")
    limited(box, {"cpu": {"cpus": "0", "mems": "0"}}, "cpuset/cpuset.cpus", 0, "cpuset.cpus")
    box.linux["resources"] = {"cpu": {"cpus": "0"}}
    equal(box.output("grep Cpus_allowed_list /proc/self/status").split()[-1], "0")


@check("pids: the limit stops a fork bomb")
def pids(box):
    limited(box, {"pids": {"limit": 33}}, "pids/pids.max", 33, "pids.max")
    box.linux["resources"] = {"pids": {"limit": 3}}
    box.script("for i in 1 2 3 4 5 6; do sleep 5 & done 2>/dev/null; echo made")
    result = box.run()
    if "made" in result.stdout and result.returncode == 0:
        raise Failed("six processes where three are allowed")


@check("blockIO: weight, where the scheduler has it, and throttling of a device")
def block_io(box):
    device = next((open(f"/sys/block/{name}/dev").read().strip() for name in sorted(os.listdir("/sys/block"))
                   if not name.startswith(("loop", "ram"))), None)
    if device is None:
        raise Skip("there is no block device")
    major, minor = map(int, device.split(":"))
    limited(box, {"blockIO": {"throttleReadBpsDevice": [{"major": major, "minor": minor, "rate": 1 << 20}]}},
            "blkio/blkio.throttle.read_bps_device", f"{device} {1 << 20}", "io.max",
            f"{device} rbps={1 << 20} wbps=max riops=max wiops=max")
    limited(box, {"blockIO": {"throttleWriteIOPSDevice": [{"major": major, "minor": minor, "rate": 100}]}},
            "blkio/blkio.throttle.write_iops_device", f"{device} 100", "io.max",
            f"{device} rbps=max wbps=max riops=max wiops=100")


@check("huge pages, network class and priorities, where the kernel has them")
def others(box):
    sizes = os.listdir("/sys/kernel/mm/hugepages") if os.path.isdir("/sys/kernel/mm/hugepages") else []
    if "hugepages-2048kB" in sizes and (os.path.exists("/sys/fs/cgroup/hugetlb/cgroup.procs") or not is_v1()):
        limited(box, {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}, "hugetlb/hugetlb.2MB.limit_in_bytes",
                4 << 20, "hugetlb.2MB.max")
    if os.path.exists("/sys/fs/cgroup/net_cls/cgroup.procs"):
        limited(box, {"network": {"classID": 0x100001}}, "net_cls/net_cls.classid", 0x100001)
    if os.path.exists("/sys/fs/cgroup/net_prio/cgroup.procs"):
        box.linux["resources"] = {"network": {"priorities": [{"name": "lo", "priority": 5}]}}
        box.script("sleep 1000")
        box.started()
        holds(box.cgroup_value("net_prio/net_prio.ifpriomap"), "lo 5")


@check("unified: files of cgroup v2 are written as they are, and refused on v1")
def unified(box):
    box.linux["resources"] = {"unified": {"pids.max": "44"}}
    if is_v1():
        box.refused("unified")
    else:
        limited(box, {"unified": {"pids.max": "44"}}, "", 44, "pids.max")
        box.linux["resources"] = {"unified": {"no.such": "1"}}
        box.refused("no.such")


@check("a device that is not allowed cannot be opened, one that is can")
def device_rules(box):
    box.linux["devices"] = [{"path": "/dev/log", "type": "c", "major": 1, "minor": 11}]
    script = "(: >/dev/log) 2>/dev/null && echo written; (: </dev/log) 2>/dev/null && echo read; echo x >/dev/null && echo null"
    everything = {"allow": False, "access": "rwm"}
    box.linux["resources"] = {"devices": [everything]}
    equal(box.output(script), "null", "nothing allowed")
    box.linux["resources"] = {"devices": [everything, {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "w"}]}
    equal(box.output(script).split("\n"), ["written", "null"], "one access allowed")
    box.linux["resources"] = {"devices": [everything, {"allow": True, "type": "c", "major": 1, "access": "rw"},
                                          {"allow": False, "type": "c", "major": 1, "minor": 11, "access": "rw"}]}
    if is_v1():
        box.refused("1:11", "1:*")  # its list has no exceptions
    else:
        equal(box.output(script), "null", "allowed, then denied")


@check("the default devices and links are there")
def default_devices(box):
    equal(box.output("cd /dev; for i in null zero full random urandom tty; do stat -c '%n %a %t:%T' $i; done; "
                     "for i in fd stdin stdout stderr ptmx; do echo $i $(readlink $i); done").split("\n"),
          ["null 666 1:3", "zero 666 1:5", "full 666 1:7", "random 666 1:8", "urandom 666 1:9", "tty 666 5:0",
           "fd /proc/self/fd", "stdin /proc/self/fd/0", "stdout /proc/self/fd/1", "stderr /proc/self/fd/2", "ptmx pts/ptmx"])


@check("devices are made with their type, number, mode and owner")
def devices(box):
    box.linux["devices"] = [
        {"path": "/dev/one", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 3, "gid": 4},
        {"path": "/dev/sub/two", "type": "b", "major": 7, "minor": 300, "fileMode": 0o600},
        {"path": "/dev/three", "type": "u", "major": 1, "minor": 7},
        {"path": "/dev/four", "type": "p", "fileMode": 0o622}]
    equal(box.output("stat -c '%F %a %t:%T %u:%g' /dev/one /dev/sub/two /dev/three; stat -c '%F %a' /dev/four").split("\n"),
          ["character special file 640 a:e5 3:4", "block special file 600 7:12c 0:0",
           "character special file 666 1:7 0:0", "fifo 622"])


@check("update changes the limits of a running container")
def update(box):
    box.linux["resources"] = {"pids": {"limit": 100}, "memory": {"limit": 128 << 20}}
    box.script("sleep 1000")
    box.started()
    box.must("update", "--pids-limit", "55", box.id)
    equal(box.cgroup_value("pids/pids.max", "pids.max"), "55")
    box.must("update", "--resources", "-", box.id, stdin=json.dumps({"memory": {"limit": 96 << 20}, "pids": {"limit": 66}}))
    equal(box.cgroup_value("pids/pids.max", "pids.max"), "66")
    equal(box.cgroup_value("memory/memory.limit_in_bytes", "memory.max"), str(96 << 20))
    box.must("update", "--memory", "64m", "--cpu-share", "256", box.id)
    equal(box.cgroup_value("memory/memory.limit_in_bytes", "memory.max"), str(64 << 20))
    equal(box.cgroup_value("cpu/cpu.shares", "cpu.weight"), "256" if is_v1() else "10")
    if box.oci("update", "--memory", "lots", box.id).returncode == 0:
        raise Failed("a bad size was taken")
