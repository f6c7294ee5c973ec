"""What the conformance checks share: a bundle, a run of ctr-oci, and a list of checks that each are one sentence.

A check runs a container whose program looks at what it got, and compares that with what config.json asked for. It
knows nothing of ctr's code, so any OCI runtime can be put in its place: CTR_OCI=/usr/sbin/runc.
"""
import copy
import glob
import json
import os
import shutil
import signal
import socket
import array
import subprocess
import tempfile
import time
import traceback

RUNTIME = os.environ["CTR_OCI"]
WORK = os.environ["CTR_WORK"]
CHECKS = []


class Skip(Exception):
    """This machine cannot show it; the text says why."""


class Failed(Exception):
    pass


def check(sentence):
    def add(function):
        CHECKS.append((sentence, function))
        return function
    return add


def equal(got, want, what=""):
    if got != want:
        raise Failed(f"{what}: got {got!r}, want {want!r}")


def holds(text, part, what=""):
    if part not in text:
        raise Failed(f"{what}: {text!r} does not hold {part!r}")


def holds_not(text, part, what=""):
    if part in text:
        raise Failed(f"{what}: {text!r} holds {part!r}")


def eventually(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failed("not within time: " + what)
        time.sleep(0.02)


def is_v1():
    return os.path.exists("/sys/fs/cgroup/memory/cgroup.procs") or os.path.exists("/sys/fs/cgroup/pids/cgroup.procs")


NAMESPACES = ["pid", "network", "ipc", "uts", "mount"]
CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_SETUID",
                "CAP_SETGID", "CAP_FOWNER", "CAP_MKNOD"]

BASE = {
    "ociVersion": "1.2.0",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": ["true"],
        "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
        "cwd": "/",
        "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
    },
    "root": {"path": "rootfs"},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    ],
    "linux": {"namespaces": [{"type": name} for name in NAMESPACES]},
}


def make_rootfs(path):
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root"):
        os.makedirs(os.path.join(path, name))
    shutil.copy("/bin/busybox", os.path.join(path, "bin/busybox"))
    for name in subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True).stdout.split():
        if name != "busybox":
            os.symlink("busybox", os.path.join(path, "bin", name))
    os.chmod(os.path.join(path, "tmp"), 0o1777)
    with open(os.path.join(path, "etc/passwd"), "w") as passwd:
        passwd.write("root:x:0:0:root:/root:/bin/sh\n")


class Bundle:
    """A bundle with one container; everything of it goes away with close()."""
    count = 0

    def __init__(self):
        Bundle.count += 1
        self.id = f"conf-{os.getpid()}-{Bundle.count}"
        self.path = tempfile.mkdtemp(prefix="bundle.", dir=WORK)
        self.rootfs = os.path.join(self.path, "rootfs")
        make_rootfs(self.rootfs)
        self.root = os.path.join(WORK, "state")
        self.config = copy.deepcopy(BASE)
        self.config["linux"]["cgroupsPath"] = f"/ctr-conformance/{self.id}"
        self.log = os.path.join(self.path, "log.json")
        self.out = os.path.join(self.path, "out")

    @property
    def process(self):
        return self.config["process"]

    @property
    def linux(self):
        return self.config["linux"]

    def script(self, text):
        self.process["args"] = ["/bin/sh", "-c", text]

    def mount(self, destination, source, options, kind="bind", **more):
        self.config["mounts"].append(
            {"destination": destination, "type": kind, "source": source, "options": options, **more})

    def add_namespace(self, kind, path=None):
        self.linux["namespaces"] = [one for one in self.linux["namespaces"] if one["type"] != kind]
        self.linux["namespaces"].append({"type": kind, **({"path": path} if path else {})})

    def drop_namespace(self, kind):
        self.linux["namespaces"] = [one for one in self.linux["namespaces"] if one["type"] != kind]

    def file(self, name, content="", mode=0o644):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(content)
        os.chmod(path, mode)
        return path

    def save(self):
        self.file("config.json", json.dumps(self.config))

    def oci(self, *arguments, stdin="", timeout=120, globals=(), **more):
        command = [RUNTIME, "--root", self.root, "--log", self.log, "--log-format", "json", *globals, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, **more)

    def run(self, *flags, **more):
        """Runs to the end; the caller looks at .returncode, .stdout, .stderr."""
        self.save()
        return self.oci("run", *flags, "--bundle", self.path, self.id, **more)

    def run_script(self, text, **more):
        self.script(text)
        return self.run(**more)

    def output(self, text=None, status=0, **more):
        """What a script prints; it has to end with that status."""
        if text is not None:
            self.script(text)
        result = self.run(**more)
        if result.returncode != status:
            raise Failed(f"status {result.returncode}, want {status}: {result.stdout}{result.stderr}")
        return result.stdout.strip()

    def refused(self, *parts, **more):
        """The run fails before the program starts, and the message has these parts."""
        self.script("echo started")
        result = self.run(**more)
        holds_not(result.stdout, "started", "the program")
        if result.returncode == 0:
            raise Failed("it was not refused")
        for part in parts:
            holds(result.stderr.lower(), part.lower(), "the message")
        return result.stderr

    def create(self, *flags, globals=(), pass_fds=()):
        """create with its streams in a file, as a caller that goes away does it. Returns the exit status."""
        self.save()
        command = [RUNTIME, "--root", self.root, "--log", self.log, "--log-format", "json", *globals, "create",
                   "--bundle", self.path, "--pid-file", os.path.join(self.path, "pid"), *flags, self.id]
        with open(self.out, "w") as out:
            return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=120,
                                  pass_fds=pass_fds).returncode

    def created(self, *flags, **more):
        if self.create(*flags, **more) != 0:
            raise Failed("create: " + self.printed())

    def started(self, *flags, **more):
        self.created(*flags, **more)
        self.must("start", self.id)

    def must(self, *arguments, **more):
        result = self.oci(*arguments, **more)
        if result.returncode != 0:
            raise Failed(f"{arguments}: {result.returncode}: {result.stderr}")
        return result.stdout

    def printed(self):
        with open(self.out) as out:
            return out.read()

    def pid(self):
        with open(os.path.join(self.path, "pid")) as file:
            return int(file.read())

    def state(self):
        return json.loads(self.must("state", self.id))

    def status(self):
        result = self.oci("state", self.id)
        return json.loads(result.stdout)["status"] if result.returncode == 0 else "gone"

    def wait_for(self, status):
        eventually(lambda: self.status() == status, f"status {status}")

    def logged(self):
        """The lines of the log file."""
        with open(self.log) as log:
            return [json.loads(line) for line in log if line.strip()]

    def cgroup_value(self, v1, v2=None):
        """A file of the container's cgroup: "pids/pids.max" on v1, "pids.max" on v2; None where there is none."""
        path = self.linux["cgroupsPath"]
        if is_v1():
            controller, name = v1.split("/")
            path = f"/sys/fs/cgroup/{controller}{path}/{name}"
        else:
            path = f"/sys/fs/cgroup{path}/{v2}"
        if not os.path.exists(path):
            return None
        with open(path) as file:
            return file.read().strip()

    def close(self):
        subprocess.run([RUNTIME, "--root", self.root, "delete", "--force", self.id], capture_output=True)
        shutil.rmtree(self.path, ignore_errors=True)


class Listener:
    """A unix socket that takes one message with descriptors."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(path)
        self.socket.listen(1)
        self.socket.settimeout(60)

    def receive(self):
        connection, _ = self.socket.accept()
        fds = array.array("i")
        text, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_LEN(16 * 4))
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
        connection.close()
        return text.decode(), list(fds)


def signal_name(status):
    return signal.Signals(status - 128).name


def main(pattern):
    """Runs the checks; returns how many failed."""
    passed = failed = skipped = 0
    for sentence, function in CHECKS:
        if pattern and pattern not in sentence and pattern not in function.__name__:
            continue
        bundle = Bundle()
        try:
            function(bundle)
            passed += 1
            if os.environ.get("CTR_VERBOSE"):
                print("ok      ", sentence, flush=True)
        except Skip as why:
            skipped += 1
            print("skipped ", sentence + ":", why)
        except Failed as why:
            failed += 1
            print("FAILED  ", sentence + ":", why)
        except Exception:
            failed += 1
            print("FAILED  ", sentence + ":", traceback.format_exc())
        finally:
            bundle.close()
    for parent in ["/sys/fs/cgroup/ctr-conformance", *glob.glob("/sys/fs/cgroup/*/ctr-conformance")]:
        try:
            os.rmdir(parent)
        except OSError:
            pass  # not there, or another run's
    print(f"conformance: {passed} passed, {failed} failed, {skipped} skipped")
    return failed
