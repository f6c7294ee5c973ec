"""linux.seccomp, linux.sysctl, linux.personality."""
import ctypes
import fcntl
import json
import os
import struct
import threading

from harness import check, equal, holds, Failed, Listener, Skip


def profile(*rules, default="SCMP_ACT_ALLOW", **more):
    return {"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
            "syscalls": list(rules), **more}


def rule(names, action="SCMP_ACT_ERRNO", **more):
    return {"names": names, "action": action, **more}


MAKE = ["mkdir", "mkdirat"]


@check("seccomp: an errno is what the program sees")
def errno(box):
    box.linux["seccomp"] = profile(rule(MAKE, errnoRet=28))
    holds(box.run_script("mkdir /x").stderr, "No space left")
    box.linux["seccomp"] = profile(rule(MAKE))
    holds(box.run_script("mkdir /x").stderr, "Operation not permitted")
    equal(box.output("grep Seccomp: /proc/self/status").split()[-1], "2")


@check("seccomp: the default action and its errno are in force under a list of what is allowed")
def default_action(box):
    names = ["read", "write", "close", "execve", "brk", "mmap", "mprotect", "munmap", "exit", "exit_group", "arch_prctl",
             "fstat", "stat", "newfstatat", "statx", "open", "openat", "readlink", "readlinkat", "rt_sigaction", "rt_sigprocmask", "getpid", "getuid",
             "geteuid", "getgid", "getegid", "uname", "prctl", "set_tid_address", "set_robust_list", "rseq", "prlimit64",
             "getrandom", "ioctl", "setuid", "setgid", "getcwd", "lseek", "fcntl", "futex", "getppid", "faccessat"]
    box.linux["seccomp"] = profile(rule(names, "SCMP_ACT_ALLOW"), default="SCMP_ACT_ERRNO", defaultErrnoRet=28)
    box.process["args"] = ["mkdir", "/x"]
    holds(box.run().stderr, "No space left")


@check("seccomp: each operator compares the argument")
def operators(box):
    # The second argument of kill is the signal: 0 asks only whether the process is there.
    cases = {"SCMP_CMP_EQ": (10, [10], [9 + 3, 17]), "SCMP_CMP_NE": (0, [10, 12], [0]),
             "SCMP_CMP_LT": (10, [0], [10, 12]), "SCMP_CMP_LE": (10, [0, 10], [12]),
             "SCMP_CMP_GT": (10, [12, 17], [10, 0]), "SCMP_CMP_GE": (12, [12, 17], [10, 0])}
    box.process["args"] = ["sh"]
    for operator, (value, refused, passed) in cases.items():
        box.linux["seccomp"] = profile(rule(["kill"], errnoRet=28, args=[{"index": 1, "value": value, "op": operator}]))
        script = "trap '' USR1 USR2 CHLD;" + "".join(
            f"if kill -{signal} $$ 2>/dev/null; then echo {signal} passed; else echo {signal} refused; fi;"
            for signal in refused + passed)
        equal(box.output(script).split("\n"), [f"{one} refused" for one in refused] + [f"{one} passed" for one in passed],
              operator)
    box.linux["seccomp"] = profile(rule(["kill"], args=[{"index": 1, "value": 0b0110, "valueTwo": 0b0010,
                                                         "op": "SCMP_CMP_MASKED_EQ"}]))
    equal(box.output("trap '' USR1 USR2; kill -10 $$ 2>/dev/null || echo refused; kill -12 $$ && echo passed").split("\n"),
          ["refused", "passed"], "SCMP_CMP_MASKED_EQ")


@check("seccomp: kill ends the program, trap signals it")
def kill(box):
    for action in ("SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD"):
        box.linux["seccomp"] = profile(rule(MAKE, action))
        equal(box.run_script("mkdir /x; echo $?").stdout.strip(), "159", action)
    box.linux["seccomp"] = profile(rule(MAKE, "SCMP_ACT_TRAP"))
    equal(box.run_script("mkdir /x; echo $?").stdout.strip(), "159", "trap")
    box.linux["seccomp"] = profile(rule(MAKE, "SCMP_ACT_LOG"))
    box.output("mkdir /x; rmdir /x")
    box.linux["seccomp"] = profile(rule(MAKE, "SCMP_ACT_TRACE", errnoRet=5))
    holds(box.run_script("mkdir /x").stderr, "not implemented")


@check("seccomp: flags are taken, unknown ones, actions, operators and architectures refused by name")
def flags(box):
    box.linux["seccomp"] = profile(rule(MAKE), flags=["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                                                     "SECCOMP_FILTER_FLAG_TSYNC"])
    holds(box.run_script("mkdir /x").stderr, "not permitted")
    box.linux["seccomp"] = profile(rule(MAKE), flags=["SECCOMP_FILTER_FLAG_NOSUCH"])
    box.refused("SECCOMP_FILTER_FLAG_NOSUCH")
    box.linux["seccomp"] = profile(rule(MAKE, "SCMP_ACT_NOSUCH"))
    box.refused("SCMP_ACT_NOSUCH")
    box.linux["seccomp"] = profile(rule(MAKE, args=[{"index": 0, "value": 0, "op": "SCMP_CMP_NOSUCH"}]))
    box.refused("SCMP_CMP_NOSUCH")
    box.linux["seccomp"] = dict(profile(rule(MAKE)), architectures=["SCMP_ARCH_NOSUCH"])
    box.refused("SCMP_ARCH_NOSUCH")


@check("seccomp: a name that no kernel has is no failure")
def unknown_call(box):
    box.linux["seccomp"] = profile(rule(["nosuchcall", "mkdir", "mkdirat"]))
    holds(box.run_script("mkdir /x").stderr, "not permitted")


@check("seccomp: the filter holds for an ordinary user with and without noNewPrivileges, and for an exec")
def filter_everywhere(box):
    box.linux["seccomp"] = profile(rule(MAKE, errnoRet=28))
    for privileges in (True, False):
        box.process["user"] = {"uid": 1000, "gid": 1000}
        box.process["noNewPrivileges"] = privileges
        holds(box.run_script("mkdir /tmp/x").stderr, "No space left")
    box.script("sleep 1000")
    box.started()
    holds(box.oci("exec", box.id, "mkdir", "/tmp/y").stderr, "No space left")


class Agent(threading.Thread):
    """Answers the first notification with an errno; keeps what came with the descriptor."""
    RECEIVE, SEND = 0xC0502100, 0xC0182101

    def __init__(self, listener, error):
        super().__init__(daemon=True)
        self.listener, self.error, self.state = listener, error, None

    def run(self):
        text, fds = self.listener.receive()
        self.state, self.count = json.loads(text), len(fds)
        while True:
            request = bytearray(80)
            try:
                fcntl.ioctl(fds[0], self.RECEIVE, request)
            except OSError:
                return
            number = struct.unpack_from("=Q", request)[0]
            try:
                fcntl.ioctl(fds[0], self.SEND, struct.pack("=QqiI", number, 0, -self.error, 0))
            except OSError:
                return


@check("seccomp: a listener gets the descriptor with state and metadata, and decides")
def notify(box):
    listener = Listener(os.path.join(box.path, "agent"))
    for privileges in (True, False):
        box.process["noNewPrivileges"] = privileges
        box.linux["seccomp"] = profile(rule(MAKE, "SCMP_ACT_NOTIFY"), listenerPath=listener.path, listenerMetadata="mine")
        agent = Agent(listener, 28)
        agent.start()
        holds(box.run_script("mkdir /x").stderr, "No space left")
        agent.join(30)
        equal(agent.count, 1, "descriptors")
        equal(agent.state["fds"], ["seccompFd"])
        equal(agent.state["metadata"], "mine")
        equal(agent.state["state"]["id"], box.id)
        equal(agent.state["state"]["status"], "creating")
        equal(agent.state["pid"], agent.state["state"]["pid"])


@check("seccomp: notify needs a listener, and metadata needs one")
def notify_errors(box):
    box.linux["seccomp"] = profile(rule(MAKE, "SCMP_ACT_NOTIFY"))
    box.refused("listenerPath")
    box.linux["seccomp"] = profile(rule(MAKE), listenerMetadata="x")
    box.refused("listenerPath")
    box.linux["seccomp"] = profile(rule(MAKE, "SCMP_ACT_NOTIFY"), listenerPath="/nosuch/agent")
    box.refused("/nosuch/agent")


@check("sysctls of the container's namespaces are set, those of the host refused by name")
def sysctl(box):
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmax": "1234567", "net.ipv4.ip_unprivileged_port_start": "7",
                           "kernel.msgmax": "9000", "net.ipv4.conf.lo.forwarding": "1", "net/ipv4/conf/lo/log_martians": "1"}
    equal(box.output("cd /proc/sys; cat net/ipv4/ip_forward kernel/shmmax net/ipv4/ip_unprivileged_port_start "
                     "kernel/msgmax net/ipv4/conf/lo/forwarding net/ipv4/conf/lo/log_martians").split(),
          ["1", "1234567", "7", "9000", "1", "1"])
    box.linux["sysctl"] = {"kernel.panic": "0"}
    box.refused("kernel.panic")
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    box.drop_namespace("network")
    box.refused("net.ipv4.ip_forward", "network")
    box.linux["sysctl"] = {"net..": "1"}
    box.refused("sysctl")


@check("personality LINUX32 makes the machine look like one of 32 bits")
def personality(box):
    machine = os.uname().machine
    equal(box.output("uname -m"), machine)
    box.linux["personality"] = {"domain": "LINUX32"}
    if box.output("uname -m") == machine:
        raise Failed("uname -m did not change")
    box.linux["personality"] = {"domain": "NOSUCH"}
    box.refused("NOSUCH")
    box.linux["personality"] = {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}
    box.refused("personality")


@check("what the specification knows and this runtime does not do is refused by name")
def unsupported(box):
    box.linux["intelRdt"] = {"closID": "x"}
    box.refused("intelRdt")
    del box.linux["intelRdt"]
    box.config["ociVersion"] = "2.0.0"
    box.refused("2.0.0")
    box.config["ociVersion"] = "1.0.2-dev"
    box.output("true")
    del box.config["ociVersion"]
    box.refused("ociVersion")
