"""The operations: create, start, state, kill, delete and the rest of the command line."""
import json
import os
import signal
import subprocess
import time

from harness import check, equal, holds, holds_not, eventually, Failed, Listener, Skip


@check("created, running, stopped, gone: each with its state")
def life(box):
    box.config["annotations"] = {"a": "b"}
    box.script("echo started; sleep 1000")
    box.created()
    state = box.state()
    equal(state["status"], "created")
    equal((state["id"], state["bundle"], state["pid"], state["annotations"]), (box.id, box.path, box.pid(), {"a": "b"}))
    holds(state["ociVersion"], "1.")
    equal(box.printed(), "", "the program ran before start")
    box.must("start", box.id)
    equal(box.status(), "running")
    eventually(lambda: box.printed() == "started\n", "the program's output")
    box.must("kill", box.id, "KILL")
    box.wait_for("stopped")
    equal(box.state()["pid"], 0)
    box.must("delete", box.id)
    equal(box.status(), "gone")


@check("what is asked of a container in the wrong state is an error and changes nothing")
def wrong_states(box):
    for command in (["state"], ["start"], ["kill"], ["delete"], ["pause"], ["resume"], ["exec", "nosuch", "true"]):
        result = box.oci(*(command if len(command) > 1 else [*command, "nosuch"]))
        if result.returncode == 0:
            raise Failed(f"{command} of a container that does not exist went well")
        holds(result.stderr, "does not exist", str(command))
    box.script("sleep 1000")
    box.started()
    for command in ("start", "delete", "resume"):
        if box.oci(command, box.id).returncode == 0:
            raise Failed(f"{command} of a running container went well")
        equal(box.status(), "running", command)
    if box.create() == 0:
        raise Failed("a taken id was taken again")
    equal(box.status(), "running", "after the second create")
    box.must("kill", box.id, "KILL")
    box.wait_for("stopped")
    for command in (["start", box.id], ["kill", box.id], ["exec", box.id, "true"], ["pause", box.id]):
        if box.oci(*command).returncode == 0:
            raise Failed(f"{command[0]} of a stopped container went well")
    holds(box.oci("kill", box.id, "TERM").stderr, "not running")


@check("ids that are no names are refused")
def ids(box):
    box.save()
    for name in ("", ".", "..", "a/b", "../x", "a b", "é"):
        if box.oci("create", "--bundle", box.path, name).returncode == 0:
            raise Failed(f"id {name!r} was taken")


@check("a change of config.json after create changes nothing")
def config_is_read_once(box):
    box.script("echo first; sleep 1000")
    box.created()
    box.script("echo second")
    box.save()
    box.must("start", box.id)
    eventually(lambda: box.printed() == "first\n", "the first program")


@check("a missing or broken config.json is an error that names it")
def bad_config(box):
    result = box.oci("create", "--bundle", box.path, box.id)
    equal(result.returncode, 1)
    holds(result.stderr, "config.json")
    box.file("config.json", "{")
    equal(box.oci("create", "--bundle", box.path, box.id).returncode, 1)
    box.file("config.json", '{"ociVersion": "1.0.0", "process": {"cwd": 5}}')
    holds(box.oci("create", "--bundle", box.path, box.id).stderr, "cwd")
    equal(box.status(), "gone")


@check("errors are one line on standard error and one JSON object in the log")
def errors(box):
    box.process["args"] = ["nosuch"]
    result = box.run()
    equal(result.returncode, 1)
    equal(len(result.stderr.strip().split("\n")), 1)
    line = box.logged()[-1]
    equal(line["level"], "error")
    holds(result.stderr, line["msg"])
    equal(sorted(line), ["level", "msg", "time"])
    result = subprocess.run([os.environ["CTR_OCI"], "--root", box.root, "--log", box.path + "/text", "state", "nosuch"],
                            capture_output=True, text=True)
    holds(open(box.path + "/text").read(), 'level=error msg="container does not exist"')


@check("run returns the program's status, also when a signal ends it")
def statuses(box):
    box.output("exit 42", status=42)
    box.process["args"] = ["sh", "-c", "kill -KILL $$"]
    box.drop_namespace("pid")
    equal(box.run().returncode, 137)
    equal(box.status(), "gone")


@check("run hands signals on to the program")
def forwarded(box):
    box.script("trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done")
    box.save()
    process = subprocess.Popen([os.environ["CTR_OCI"], "--root", box.root, "run", "--bundle", box.path, box.id],
                               stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    equal(process.wait(60), 5)


@check("run --detach leaves the container running, --keep keeps it after its end")
def run_flags(box):
    box.script("sleep 1000")
    box.save()
    with open(box.out, "w") as out:
        subprocess.run([os.environ["CTR_OCI"], "--root", box.root, "run", "--detach", "--pid-file", box.path + "/pid",
                        "--bundle", box.path, box.id], stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=True)
    equal(box.status(), "running")
    os.kill(box.pid(), 0)
    box.must("delete", "--force", box.id)
    box.output("true")
    box.script("true")
    equal(box.run("--keep").returncode, 0)
    equal(box.status(), "stopped")
    box.must("delete", box.id)


@check("kill takes signals by name and number; --all reaches every process")
def kill(box):
    box.script("trap 'echo one' USR1; trap 'echo two' USR2; trap 'echo hup' HUP; echo ready; while :; do sleep 0.05; done")
    box.started()
    eventually(lambda: "ready" in box.printed(), "ready")
    for name, word in (("USR1", "one"), ("SIGUSR2", "two"), ("1", "hup")):
        box.must("kill", box.id, name)
        eventually(lambda: word in box.printed(), word)
    if box.oci("kill", box.id, "NOSUCH").returncode == 0:
        raise Failed("an unknown signal was sent")
    box.must("delete", "--force", box.id)
    box.drop_namespace("pid")
    box.script("(trap '' TERM; exec sleep 1001) & exec sleep 1000")
    box.started()
    eventually(lambda: len(json.loads(box.must("ps", "--format", "json", box.id))) == 2, "two processes")
    box.must("kill", "--all", box.id, "KILL")
    box.wait_for("stopped")
    eventually(lambda: json.loads(box.must("ps", "--format", "json", box.id)) == [], "no processes")


@check("without a pid namespace of its own, KILL and delete leave no process behind")
def shared_pids(box):
    box.drop_namespace("pid")
    box.script("sleep 1001 & sleep 1002 & wait")
    box.started()
    eventually(lambda: len(json.loads(box.must("ps", "--format", "json", box.id))) == 3, "three processes")
    pids = json.loads(box.must("ps", "--format", "json", box.id))
    box.must("kill", box.id, "KILL")
    box.wait_for("stopped")
    box.must("delete", box.id)
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "the end of all processes")


@check("delete --force ends a running container and forgives a missing one")
def force(box):
    box.script("sleep 1000")
    box.started()
    pid = box.pid()
    box.must("delete", "--force", box.id)
    eventually(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the process")
    box.must("delete", "--force", "nosuch")
    box.created()
    box.must("delete", box.id)
    equal(box.status(), "gone", "a created container")


@check("pause stops every process, state tells it, resume lets go on")
def pause(box):
    box.script("while :; do echo x; sleep 0.02; done")
    box.started()
    eventually(lambda: box.printed() != "", "output")
    box.must("pause", box.id)
    equal(box.status(), "paused")
    before = box.printed()
    time.sleep(0.2)
    equal(box.printed(), before, "output of a paused container")
    if box.oci("exec", box.id, "true").returncode == 0:
        raise Failed("exec in a paused container went well")
    box.must("resume", box.id)
    equal(box.status(), "running")
    eventually(lambda: box.printed() != before, "more output")
    box.must("pause", box.id)
    box.must("kill", box.id, "KILL")
    box.wait_for("stopped")


@check("exec: status, streams, user, cwd, environment, and the container's namespaces")
def execute(box):
    box.process["user"] = {"uid": 3, "gid": 4}
    box.process["env"].append("A=b")
    box.script("sleep 1000")
    box.started()
    result = box.oci("exec", box.id, "sh", "-c", "echo $(id -u) $(id -g) $A $(pwd); cat; echo err >&2; exit 9", stdin="input\n")
    equal((result.returncode, result.stdout, result.stderr), (9, "3 4 b /\ninput\n", "err\n"))
    equal(box.must("exec", "--user", "5:6", "--cwd", "/tmp", "--env", "B=c", "--additional-gids", "77", box.id, "sh", "-c",
                   "echo $(id -u) $(id -g) $B $(pwd) $(id -G)"), "5 6 c /tmp 6 77\n")
    equal(box.must("exec", "--cap", "CAP_NET_ADMIN", "--user", "0", box.id, "sh", "-c",
                   "test $((0x$(grep CapBnd /proc/self/status | cut -f2) & 0x1000)) != 0 && echo has"), "has\n")
    for kind in ("pid", "net", "ipc", "uts", "mnt"):
        equal(box.must("exec", box.id, "readlink", "/proc/self/ns/" + kind).strip(),
              os.readlink(f"/proc/{box.pid()}/ns/{kind}"), kind)
    equal(box.oci("exec", box.id, "nosuch").returncode, 255)
    holds(box.oci("exec", box.id, "nosuch").stderr, "executable file not found in $PATH")
    equal(box.oci("exec", box.id, "sh", "-c", "kill -TERM $$").returncode, 143)


@check("exec --process takes what process.json says, and the container's rest")
def exec_process(box):
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 333, "hard": 444}]
    box.process["oomScoreAdj"] = 333
    box.script("sleep 1000")
    box.started()
    process = box.file("process.json", json.dumps({
        "args": ["sh", "-c", "echo $(id -u) $A $(pwd) $(ulimit -n) $(cat /proc/self/oom_score_adj); "
                 "grep -c CapBnd:.0000000000000000 /proc/self/status; umask"],
        "env": ["A=c", "PATH=/bin"], "cwd": "/tmp", "user": {"uid": 8, "gid": 9, "umask": 7}}))
    equal(box.oci("exec", "--process", process, box.id).stdout.split("\n"), ["8 c /tmp 333 333", "0", "0007", ""])


@check("exec --detach --pid-file: the process goes on alone")
def exec_detached(box):
    box.script("sleep 1000")
    box.started()
    path = box.path + "/exec.pid"
    subprocess.run([os.environ["CTR_OCI"], "--root", box.root, "exec", "--detach", "--pid-file", path, box.id, "sleep", "500"],
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pid = int(open(path).read())
    equal(open(f"/proc/{pid}/cmdline").read().split("\0")[:2], ["sleep", "500"])
    holds(open(f"/proc/{pid}/cgroup").read(), box.linux["cgroupsPath"])


@check("exec --tty --console-socket gives a terminal of the container's")
def exec_terminal(box):
    box.script("sleep 1000")
    box.started()
    listener = Listener(box.path + "/console")
    subprocess.run([os.environ["CTR_OCI"], "--root", box.root, "exec", "--detach", "--tty", "--console-socket",
                    listener.path, box.id, "sh", "-c", "tty; sleep 1"], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, fds = listener.receive()
    holds(os.read(fds[0], 100).decode(), "/dev/pts/")
    os.close(fds[0])


@check("exec --preserve-fds and --pidfd-socket")
def exec_descriptors(box):
    box.script("sleep 1000")
    listener = Listener(box.path + "/pidfd")
    box.started("--pidfd-socket", listener.path)
    _, fds = listener.receive()
    holds(open(f"/proc/self/fdinfo/{fds[0]}").read(), f"Pid:\t{box.pid()}")
    os.close(fds[0])
    kept = os.open("/etc/hostname", os.O_RDONLY)
    if kept != 3:
        os.dup2(kept, 3)
    result = box.oci("exec", "--preserve-fds", "1", box.id, "sh", "-c", "cat <&3", pass_fds=(3,))
    equal(result.stdout, open("/etc/hostname").read())
    os.close(3)


@check("list and ps show the containers and their processes")
def listed(box):
    box.script("sleep 1000")
    box.started()
    [entry] = [one for one in json.loads(box.must("list", "--format", "json")) if one["id"] == box.id]
    equal((entry["status"], entry["pid"], entry["bundle"]), ("running", box.pid(), box.path))
    holds(box.must("list"), box.id)
    holds(box.must("list", "--quiet").split("\n"), box.id)
    equal(json.loads(box.must("ps", "--format", "json", box.id)), [box.pid()])
    holds(box.must("ps", box.id), "sleep 1000")


@check("events --stats tells what the container uses")
def events(box):
    box.script("sleep 1000")
    box.started()
    event = json.loads(box.must("events", "--stats", box.id))
    equal((event["type"], event["id"]), ("stats", box.id))
    equal(event["data"]["pids"]["current"], 1)
    if event["data"]["memory"]["usage"]["usage"] <= 0 or event["data"]["cpu"]["usage"]["total"] <= 0:
        raise Failed(f"no usage: {event}")


@check("events tells when the kernel ends a process for its memory")
def out_of_memory(box):
    box.linux["resources"] = {"memory": {"limit": 16 << 20, "swap": 16 << 20}}
    box.script("read go; x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo survived")
    box.save()
    fifo = box.path + "/fifo"
    os.mkfifo(fifo)
    with open(box.out, "w") as out, os.fdopen(os.open(fifo, os.O_RDWR), "wb", 0) as go:
        subprocess.run([os.environ["CTR_OCI"], "--root", box.root, "run", "--detach", "--bundle", box.path, box.id],
                       stdin=go, stdout=out, stderr=out, check=True)
        watcher = subprocess.Popen([os.environ["CTR_OCI"], "--root", box.root, "events", "--interval", "100ms", box.id],
                                   stdout=subprocess.PIPE, text=True)
        watcher.stdout.readline()
        go.write(b"go\n")
        kinds = {json.loads(line)["type"] for line in watcher.stdout}
        watcher.wait(60)
    holds(kinds, "oom")


@check("features tells the truth about versions, hooks, options, namespaces and seccomp")
def features(box):
    got = json.loads(box.must("features"))
    holds(got["ociVersionMax"], "1.")
    equal(sorted(got["hooks"]), sorted(["prestart", "createRuntime", "createContainer", "startContainer", "poststart",
                                        "poststop"]))
    equal(sorted(got["linux"]["namespaces"]), ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"])
    equal(got["linux"]["mountExtensions"]["idmap"]["enabled"], True)
    holds(got["linux"]["capabilities"], "CAP_CHOWN")
    base = list(box.config["mounts"])
    # Each option that is told is one that a mount takes.
    os.makedirs(box.path + "/source")
    for option in got["mountOptions"]:
        if option in ("idmap", "ridmap"):
            continue
        bind = option not in ("tmpcopyup", "sync", "async", "dirsync", "lazytime", "nolazytime", "silent", "loud", "iversion",
                              "noiversion", "acl", "noacl")
        box.config["mounts"] = list(base)
        box.mount("/data", box.path + "/source" if bind else "tmpfs", ["bind", option] if bind else [option],
                  "none" if bind else "tmpfs")
        if box.run_script("true").returncode != 0:
            raise Failed(f"mount option {option}: {box.logged()[-1]['msg']}")
    # Each architecture, action and operator of seccomp can be compiled.
    box.config["mounts"] = base
    seccomp = got["linux"]["seccomp"]
    box.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": seccomp["archs"], "syscalls": [
        {"names": ["mkdir"], "action": action} for action in seccomp["actions"] if action != "SCMP_ACT_NOTIFY"][:1] + [
        {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 99, "op": op}]}
        for op in seccomp["operators"] if op in ("SCMP_CMP_EQ",)]}
    box.output("true")


@check("spec writes a config.json that runs, once")
def spec(box):
    box.must("spec", "--bundle", box.path)
    with open(box.path + "/config.json") as file:
        box.config = json.load(file)
    equal(box.config["process"]["args"], ["sh"])
    box.process["terminal"] = False
    box.config["linux"]["cgroupsPath"] = f"/ctr-conformance/{box.id}"
    equal(box.output("echo ran"), "ran")
    if box.oci("spec", "--bundle", box.path).returncode == 0:
        raise Failed("config.json was written over")
    os.unlink(box.path + "/config.json")
    box.must("spec", "--rootless", "--bundle", box.path)
    equal(json.load(open(box.path + "/config.json"))["linux"]["uidMappings"][0]["size"], 1)


@check("--systemd-cgroup without systemd is one clear sentence")
def no_systemd(box):
    if os.path.isdir("/run/systemd/system"):
        raise Skip("systemd runs here")
    box.refused("systemd", globals=("--systemd-cgroup",))
    equal(box.status(), "gone")


@check("unknown commands and flags are refused by name, checkpoint too")
def unknown(box):
    for arguments, part in ((["frobnicate"], "frobnicate"), (["state", "--nosuch", "x"], "--nosuch"),
                            (["checkpoint", "x"], "checkpoint"), (["create", "a", "b"], "id")):
        result = box.oci(*arguments)
        equal(result.returncode, 1)
        holds(result.stderr, part)


@check("--no-new-keyring leaves the session keyring alone; --version and --help answer")
def odds(box):
    if os.path.exists("/proc/keys"):
        box.drop_namespace("user")
        equal(box.run_script("true", globals=()).returncode, 0)
    box.script("true")
    equal(box.run("--no-new-keyring").returncode, 0)
    holds(box.must("--version"), "spec: 1.")
    holds(box.must("--help"), "create")


@check("a creator that is killed leaves nothing that delete --force does not find")
def killed_creator(box):
    box.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f"touch {box.path}/there; sleep 1000"]}]}
    box.save()
    process = subprocess.Popen([os.environ["CTR_OCI"], "--root", box.root, "create", "--bundle", box.path, box.id],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: os.path.exists(box.path + "/there"), "the hook")
    process.kill()
    process.wait()
    box.must("delete", "--force", box.id)
    equal(box.status(), "gone")
    for base in ("/sys/fs/cgroup", "/sys/fs/cgroup/pids"):
        if os.path.exists(base + box.linux["cgroupsPath"]):
            raise Failed("the cgroup stayed")
