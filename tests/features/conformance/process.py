"""process.* of config.json."""
import json
import os
import fcntl
import struct
import termios

from harness import check, equal, holds, holds_not, Listener, Skip


def capability_bits(*names):
    numbers = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_NET_RAW": 13}
    return f"{sum(1 << numbers[name] for name in names):016x}"


def status_fields(text):
    return {line.split(":")[0]: line.split(":", 1)[1].strip() for line in text.splitlines() if ":" in line}


@check("args, env and cwd are the program's own")
def arguments(box):
    box.process["env"] = ["PATH=/bin", "A=one two", "EMPTY="]
    box.process["cwd"] = "/made/here"
    box.process["args"] = ["sh", "-c", 'echo "$0|$1|$A|${EMPTY-unset}|$(pwd)"', "zero", "o n e"]
    equal(box.output(), "zero|o n e|one two||/made/here")


@check("an absolute command, a relative one and one in PATH are found")
def commands(box):
    for command in ("/bin/busybox", "bin/busybox", "busybox"):
        box.process["args"] = [command, "echo", command]
        equal(box.output(), command)


@check("user, group and additional groups are set")
def user(box):
    box.process["user"] = {"uid": 1000, "gid": 2000, "additionalGids": [5, 7000]}
    equal(box.output("id -u; id -g; grep Groups: /proc/self/status | tr '\\t' ' '").split("\n"),
          ["1000", "2000", "Groups: 5 7000 "[:-1]])


@check("without additionalGids there is none of the caller's groups")
def no_groups(box):
    equal(box.output("grep Groups: /proc/self/status | tr -d ' \\t'"), "Groups:")


@check("umask is the given one")
def umask(box):
    box.process["user"]["umask"] = 0o27
    equal(box.output("umask"), "0027")
    del box.process["user"]["umask"]
    equal(box.output("umask"), "0022", "the default")


@check("each of the five capability sets is what was asked for")
def capabilities(box):
    box.process["user"] = {"uid": 1000, "gid": 1000}
    box.process["capabilities"] = {
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID"],
        "permitted": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN"],
        "inheritable": ["CAP_CHOWN", "CAP_NET_RAW"], "ambient": ["CAP_CHOWN"]}
    got = status_fields(box.output("cat /proc/self/status"))
    # At execve an ordinary user's permitted and effective sets become the ambient one.
    equal(got["CapBnd"], capability_bits("CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID"), "bounding")
    equal(got["CapInh"], capability_bits("CAP_CHOWN", "CAP_NET_RAW"), "inheritable")
    equal(got["CapAmb"], capability_bits("CAP_CHOWN"), "ambient")
    equal(got["CapPrm"], capability_bits("CAP_CHOWN"), "permitted")
    equal(got["CapEff"], capability_bits("CAP_CHOWN"), "effective")


@check("root has the capabilities of its bounding set and no others")
def root_capabilities(box):
    names = ["CAP_CHOWN", "CAP_KILL"]
    box.process["capabilities"] = {"bounding": names, "permitted": names, "effective": names}
    got = status_fields(box.output("cat /proc/self/status"))
    for name in ("CapBnd", "CapPrm", "CapEff"):
        equal(got[name], capability_bits(*names), name)
    equal(got["CapInh"], capability_bits(), "CapInh")


@check("without capabilities there are none")
def no_capabilities(box):
    del box.process["capabilities"]
    got = status_fields(box.output("cat /proc/self/status"))
    for name in ("CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"):
        equal(got[name], capability_bits(), name)


@check("a capability that this kernel does not know is no failure")
def unknown_capability(box):
    box.process["capabilities"]["bounding"] = ["CAP_NO_SUCH", "CAP_KILL"]
    box.output("true")


@check("resource limits are set, soft and hard")
def rlimits(box):
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                              {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
                              {"type": "RLIMIT_FSIZE", "soft": 1 << 30, "hard": 1 << 31},
                              {"type": "RLIMIT_STACK", "soft": 1 << 22, "hard": 1 << 23}]
    lines = box.output("cat /proc/self/limits").splitlines()
    got = {line[:26].strip(): line[26:].split()[:2] for line in lines}
    equal(got["Max open files"], ["100", "200"])
    equal(got["Max core file size"], ["0", "0"])
    equal(got["Max file size"], [str(1 << 30), str(1 << 31)])
    equal(got["Max stack size"], [str(1 << 22), str(1 << 23)])


@check("every resource limit of Linux can be named")
def all_rlimits(box):
    box.process["rlimits"] = [{"type": "RLIMIT_" + name, "soft": 1 << 40 if name in ("AS", "DATA") else 50,
                               "hard": 1 << 40 if name in ("AS", "DATA") else 50}
                              for name in ("AS", "CORE", "CPU", "DATA", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE", "NOFILE",
                                           "NPROC", "RSS", "RTPRIO", "RTTIME", "SIGPENDING")
                              if name not in ("NICE", "RTPRIO")]
    box.output("true")


@check("a limit that is listed twice is an error")
def double_rlimit(box):
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}] * 2
    box.refused("RLIMIT_NOFILE", "twice")


@check("a limit that is not known is an error")
def unknown_rlimit(box):
    box.process["rlimits"] = [{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}]
    box.refused("RLIMIT_NOSUCH")


@check("a limit above what may be set is one clear sentence")
def too_high_rlimit(box):
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    status = open("/proc/self/status").read()
    if int(status_fields(status)["CapEff"], 16) >> 24 & 1:
        raise Skip("this caller has CAP_SYS_RESOURCE and may set any limit")
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": hard + 1, "hard": hard + 1}]
    box.refused("limit", "permitted")


@check("noNewPrivileges is set, and only if asked for")
def no_new_privileges(box):
    box.process["noNewPrivileges"] = True
    equal(status_fields(box.output("cat /proc/self/status"))["NoNewPrivs"], "1")
    box.process["noNewPrivileges"] = False
    equal(status_fields(box.output("cat /proc/self/status"))["NoNewPrivs"], "0")


@check("oomScoreAdj is set, and otherwise the caller's")
def oom_score(box):
    box.process["oomScoreAdj"] = 500
    equal(box.output("cat /proc/self/oom_score_adj"), "500")
    del box.process["oomScoreAdj"]
    equal(box.output("cat /proc/self/oom_score_adj"), open("/proc/self/oom_score_adj").read().strip())


def scheduling_of(box):
    fields = box.output("cat /proc/self/stat").rsplit(")", 1)[1].split()
    return {"nice": int(fields[16]), "policy": int(fields[38])}


@check("the scheduling policy and nice value are set")
def scheduler(box):
    box.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 7}
    equal(scheduling_of(box), {"nice": 7, "policy": 3})
    box.process["scheduler"] = {"policy": "SCHED_OTHER", "nice": 4}
    equal(scheduling_of(box), {"nice": 4, "policy": 0})
    box.process["scheduler"] = {"policy": "SCHED_IDLE"}
    equal(scheduling_of(box)["policy"], 5)
    box.process["scheduler"] = {"policy": "SCHED_NOSUCH"}
    box.refused("SCHED_NOSUCH")


@check("the i/o priority is set")
def io_priority(box):
    box.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}
    holds(box.output("ionice"), "best-effort: prio 6")
    box.process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    holds(box.output("ionice"), "idle")
    box.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 8}
    box.refused("ioPriority")


@check("a terminal is the container's own, of the given size, and is /dev/console")
def terminal(box):
    box.process["terminal"] = True
    box.process["consoleSize"] = {"height": 40, "width": 120}
    box.script('stty size; tty; test -t 0 -a -t 1 -a -t 2 && echo all; stat -c %t:%T $(tty) /dev/console | uniq | wc -l')
    listener = Listener(os.path.join(box.path, "console"))
    box.created("--console-socket", listener.path)
    _, fds = listener.receive()
    equal(len(fds), 1, "descriptors")
    box.must("start", box.id)
    got = b""
    while True:
        try:
            data = os.read(fds[0], 4096)
        except OSError:
            break
        if not data:
            break
        got += data
    equal(got.decode().split(), ["40", "120", "/dev/pts/0", "all", "1"])
    os.close(fds[0])


@check("without a terminal there is none to reach")
def no_terminal(box):
    equal(box.output("test -t 0 || (true </dev/tty) 2>/dev/null || echo none"), "none")


@check("a terminal needs a console socket when nobody attends it")
def terminal_without_socket(box):
    box.process["terminal"] = True
    if box.create() == 0:
        raise AssertionError("created without a console socket")
    holds(box.printed(), "console-socket")


@check("execCPUAffinity holds for an exec")
def affinity(box):
    box.script("sleep 1000")
    box.started()
    process = dict(box.process, args=["sh", "-c", "grep Cpus_allowed_list /proc/self/status"],
                   execCPUAffinity={"initial": "0", "final": "0"})
    path = box.file("process.json", json.dumps(process))
    equal(box.must("exec", "--process", path, box.id).split()[-1], "0")


@check("an AppArmor profile or SELinux label that this kernel has no use for is refused by name")
def labels(box):
    if not os.path.exists("/sys/module/apparmor"):
        box.process["apparmorProfile"] = "some-profile"
        box.refused("some-profile", "AppArmor")
        del box.process["apparmorProfile"]
    if not os.path.exists("/sys/fs/selinux/enforce"):
        box.process["selinuxLabel"] = "system_u:object_r:x:s0"
        box.refused("SELinux")


@check("a missing command and one that is no program are told apart in words that callers know")
def bad_commands(box):
    box.process["args"] = ["nosuch"]
    result = box.run()
    holds(result.stderr, "executable file not found in $PATH")
    equal(result.returncode, 1)
    box.process["args"] = ["/nosuch"]
    holds(box.run().stderr, "no such file or directory")
    box.file("rootfs/plain", "text", 0o644)
    box.process["args"] = ["/plain"]
    holds(box.run().stderr, "permission denied")


@check("cwd that is not absolute, and no arguments at all, are errors")
def bad_process(box):
    box.process["cwd"] = "relative"
    box.refused("cwd")
    box.process["cwd"] = "/"
    box.process["args"] = []
    if box.run().returncode == 0:
        raise AssertionError("an empty command ran")


@check("descriptors of the caller stay outside, and preserved ones arrive")
def descriptors(box):
    extra = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(extra, True)
    equal(box.output("ls /proc/self/fd | tr '\\n' ' '", pass_fds=(extra,)).split()[:3], ["0", "1", "2"])
    kept = os.dup2(extra, 3) if extra != 3 else 3
    box.script("cat <&3")
    box.save()
    result = box.oci("run", "--preserve-fds", "1", "--bundle", box.path, box.id, pass_fds=(kept,))
    equal(result.stdout, open("/etc/hostname").read())
