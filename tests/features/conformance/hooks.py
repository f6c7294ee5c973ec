"""hooks of config.json, with the state that they read."""
import json
import os

from harness import check, equal, holds, holds_not, eventually, Failed

KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


def add(box, kind, script, **more):
    """A hook that is a shell script; HERE is the bundle. In the container's own root there is only busybox."""
    shell = "/bin/sh"
    box.config.setdefault("hooks", {}).setdefault(kind, []).append(
        {"path": shell, "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin", f"KIND={kind}"], **more})


def record(box, kind):
    # The container's root holds /log, which is the bundle's rootfs/log outside.
    where = "/log" if kind == "startContainer" else os.path.join(box.rootfs, "log")
    add(box, kind, f'read -r state; echo "$KIND $(readlink /proc/self/ns/mnt) $state" >>{where}')


def recorded(box):
    path = os.path.join(box.rootfs, "log")
    if not os.path.exists(path):
        return []
    with open(path) as log:
        return [(line.split()[0], line.split()[1], json.loads(line.split(" ", 2)[2])) for line in log]


@check("all six hooks run in order, with the state on standard input, in the right namespaces")
def all_hooks(box):
    for kind in KINDS:
        record(box, kind)
    box.config["annotations"] = {"some.key": "some value"}
    box.script("readlink /proc/self/ns/mnt; sleep 1000")
    box.created()
    equal([kind for kind, _, _ in recorded(box)], KINDS[:3], "after create")
    box.must("start", box.id)
    equal([kind for kind, _, _ in recorded(box)], KINDS[:5], "after start")
    pid = box.pid()
    box.must("delete", "--force", box.id)
    hooks = recorded(box)
    equal([kind for kind, _, _ in hooks], KINDS, "after delete")
    states = {kind: state for kind, _, state in hooks}
    for kind, status in (("prestart", "creating"), ("createRuntime", "creating"), ("createContainer", "creating"),
                         ("startContainer", "created"), ("poststart", "running"), ("poststop", "stopped")):
        equal(states[kind]["status"], status, kind)
        equal(states[kind]["id"], box.id, kind)
        equal(states[kind]["bundle"], box.path, kind)
        equal(states[kind]["annotations"], {"some.key": "some value"}, kind)
        if kind != "poststop":
            equal(states[kind]["pid"], pid, kind)
    inside = box.printed().strip()
    outside = os.readlink("/proc/self/ns/mnt")
    for kind, namespace, _ in hooks:
        equal(namespace, inside if kind in ("createContainer", "startContainer") else outside, kind)


@check("hooks of one kind run in the order of the list, with their arguments and environment")
def order(box):
    log = os.path.join(box.path, "order")
    for number in (1, 2, 3):
        add(box, "createRuntime", f"echo {number} $KIND >>{log}")
    box.output("true")
    equal(open(log).read().split("\n")[:3], ["1 createRuntime", "2 createRuntime", "3 createRuntime"])


@check("createRuntime runs when the namespaces exist and before the root is changed")
def create_runtime(box):
    log = os.path.join(box.path, "when")
    add(box, "createRuntime", "read -r state; pid=${state#*\\\"pid\\\":}; pid=${pid%%[,\\}]*}; "
        f"echo $(readlink /proc/$pid/ns/net) $(readlink /proc/self/ns/net) >{log}")
    box.output("true")
    theirs, ours = open(log).read().split()
    equal(ours, os.readlink("/proc/self/ns/net"))
    if theirs == ours:
        raise Failed("the network namespace was not there")


@check("a createContainer hook can mount into the root before it is changed")
def create_container(box):
    os.makedirs(os.path.join(box.rootfs, "hooked"))
    add(box, "createContainer", f"mount -t tmpfs none /proc/self/root{box.rootfs}/hooked 2>/dev/null; true")
    box.output("true")


@check("a hook that fails while the container is made stops it, and the poststop hooks run")
def failing_create(box):
    for kind in ("prestart", "createRuntime", "createContainer"):
        box.config["hooks"] = {}
        add(box, kind, "exit 3")
        add(box, "poststop", f"echo gone >>{box.path}/gone")
        box.script(f"echo started")
        if box.create() == 0:
            raise Failed(f"{kind} failed and the container was made")
        holds(box.printed(), kind)
        holds(box.printed(), "3")
        equal(box.status(), "gone", kind)
    equal(open(os.path.join(box.path, "gone")).read(), "gone\n" * 3, "poststop")


@check("a startContainer hook that fails keeps the program from running and stops the container")
def failing_start(box):
    add(box, "startContainer", "exit 3")
    box.script("echo started; sleep 1000")
    box.created()
    result = box.oci("start", box.id)
    if result.returncode == 0:
        raise Failed("start went well")
    holds(result.stderr, "startContainer")
    box.wait_for("stopped")
    holds_not(box.printed(), "started")
    box.must("delete", box.id)


@check("a poststart hook that fails is an error and stops the container")
def failing_poststart(box):
    add(box, "poststart", "exit 3")
    box.script("sleep 1000")
    box.created()
    result = box.oci("start", box.id)
    if result.returncode == 0:
        raise Failed("start went well")
    holds(result.stderr, "poststart")
    box.wait_for("stopped")


@check("a poststop hook that fails is told and stops nothing")
def failing_poststop(box):
    add(box, "poststop", "exit 3")
    add(box, "poststop", f"echo ran >{box.path}/ran")
    box.output("true")
    equal(open(os.path.join(box.path, "ran")).read(), "ran\n")


@check("a hook that takes longer than its timeout is ended and is an error")
def timeout(box):
    add(box, "createRuntime", "sleep 1000", timeout=1)
    box.refused("createRuntime", "1 s")


@check("a hook that reads nothing of a long state holds nobody up")
def long_state(box):
    box.config["annotations"] = {"long": "x" * 200000}
    add(box, "createRuntime", "true")
    box.output("true")


@check("a hook with a path that is not absolute, or a timeout that is not above zero, is an error")
def bad_hooks(box):
    box.config["hooks"] = {"prestart": [{"path": "sh"}]}
    box.refused("path")
    box.config["hooks"] = {"prestart": [{"path": "/bin/sh", "timeout": 0}]}
    box.refused("timeout")
    box.config["hooks"] = {"prestart": [{"path": "/nosuch"}]}
    box.refused("/nosuch")
