#!/usr/bin/env python3
"""Times pushes and pulls of one image by ctr, podman and docker in the same rounds, and the registry servers themselves.

Usage: scripts/bench_registry.py [-n ROUNDS] [--image NAME] [CASE...]
Cases: push-fresh push-unchanged pull-fresh pull-full server
Each tool needs the image (default mid500:1) in its store; one that lacks it is left out and named. Every push-fresh goes
to an empty registry (Debian's docker-registry); nothing is deleted between rounds, for that makes ext4 slow. Prints
medians of wall time, CPU time (daemons included), and what the registry holds afterwards. Run it on a machine that does
nothing else; quote the ratios.
"""
import argparse
import http.client
import os
import pathlib
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
CTR = os.environ.get("CTR", str(HERE / "build/release/bin/ctr"))
CASES = ("push-fresh", "push-unchanged", "pull-fresh", "pull-full", "server")
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def daemon_cpu(tool):
    """Seconds that the processes behind a client have used."""
    total = 0
    for name in {"docker": ("dockerd", "containerd")}.get(tool, ()):
        for pid in subprocess.run(["pidof", name], capture_output=True, text=True, check=False).stdout.split():
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += sum(int(field) for field in fields[11:15]) / TICK
    return total


def run(tool, argv, **more):
    """Wall and CPU seconds of a command."""
    before, daemon = resource.getrusage(resource.RUSAGE_CHILDREN), daemon_cpu(tool)
    start = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False, **more)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(map(str, argv))} failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime + daemon_cpu(tool) - daemon
    return wall, cpu


class Registry:
    """docker-registry or ctr's on a directory of its own."""

    def __init__(self, kind, root):
        self.root, self.port = root, free_port()
        root.mkdir(parents=True, exist_ok=True)
        if kind == "ctr":
            argv = [CTR, "registry", "serve", "--listen", f"127.0.0.1:{self.port}", "--root", str(root), "--quiet"]
        else:
            config = root / "config.yml"
            config.write_text(f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
                              f"storage: {{filesystem: {{rootdirectory: {root}/data}}, delete: {{enabled: true}}}}\n"
                              f"http: {{addr: '127.0.0.1:{self.port}'}}\n")
            argv = ["docker-registry", "serve", str(config)]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port)
                connection.request("GET", "/v2/")
                connection.getresponse().read()
                return
            except OSError:
                time.sleep(0.05)
        sys.exit(f"bench: {argv[0]} does not answer")

    def size(self):
        return sum(file.stat().st_size for file in self.root.rglob("*") if file.is_file())

    def peak_memory(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        return 0

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def usable_tools(image):
    tools = {}
    for name, program in (("ctr", CTR), ("podman", "podman"), ("docker", "docker")):
        if not shutil.which(program):
            print(f"{name}: not found, left out")
        elif subprocess.run([program, "image", "inspect", image], capture_output=True, check=False).returncode != 0:
            print(f"{name}: has no image {image}, left out")
        else:
            tools[name] = program
    return tools


def insecure(tool, verb):
    return [verb, "--tls-verify=false"] if tool == "podman" else [verb]


def push(tool, program, image, registry):
    name = f"127.0.0.1:{registry.port}/bench:1"
    run(tool, [program, "tag", image, name])
    return run(tool, [program, *insecure(tool, "push"), name]), name


def empty_store(tool, program, directory):
    """Words and environment that make a client work on an empty store; none for docker, whose daemon has one."""
    if tool == "ctr":
        return [program], {**os.environ, "CTR_ROOT": str(directory / "store"), "CTR_RUN": str(directory / "run")}
    return [program, "--root", str(directory / "store"), "--runroot", str(directory / "run")], dict(os.environ)


def measure(case, tools, image, rounds, base):
    times = {tool: [] for tool in tools}
    notes = {}
    source = Registry("debian", base / f"{case}-source")
    names = {}
    if case != "push-fresh":
        for tool, program in tools.items():
            _, names[tool] = push(tool, program, image, source)
    for i in range(rounds):
        for tool, program in tools.items():
            if case == "push-fresh":
                registry = Registry("debian", base / f"{case}-{tool}-{i}")
                taken, _ = push(tool, program, image, registry)
                notes[tool] = f"{registry.size() / 1e6:.0f} MB in the registry"
                registry.end()
            elif case == "push-unchanged":
                taken = run(tool, [program, *insecure(tool, "push"), names[tool]])
            elif case == "pull-full":
                taken = run(tool, [program, *insecure(tool, "pull"), names[tool]])
            elif tool == "docker":
                # All names go, or the layers would stay.
                identity = subprocess.run([program, "image", "inspect", "-f", "{{.Id}}", names[tool]], capture_output=True,
                                          text=True, check=True).stdout.strip()
                run(tool, [program, "rmi", "-f", identity])
                taken = run(tool, [program, "pull", names[tool]])
                run(tool, [program, "tag", names[tool], image])
            else:
                words, environment = empty_store(tool, program, base / f"{case}-{tool}-{i}")
                taken = run(tool, [*words, *insecure(tool, "pull"), names[tool]], env=environment)
            times[tool].append(taken)
    source.end()
    return times, notes


def measure_servers(base, rounds):
    """Throughput of one 500 MB blob up and down, with curl, and the server's peak of memory."""
    blob = base / "blob"
    with open(blob, "wb") as file:
        for _ in range(500):
            file.write(os.urandom(1_000_000))
    digest = "sha256:" + subprocess.run(["sha256sum", blob], capture_output=True, text=True, check=True).stdout.split()[0]
    results = {}
    for i in range(rounds):
        for kind in ("ctr", "debian"):
            registry = Registry(kind, base / f"server-{kind}-{i}")
            connection = http.client.HTTPConnection("127.0.0.1", registry.port)
            connection.request("POST", "/v2/bench/blobs/uploads/")
            response = connection.getresponse()
            response.read()
            location = response.headers["Location"]
            if location.startswith("/"):
                location = f"http://127.0.0.1:{registry.port}{location}"
            url = location + ("&" if "?" in location else "?") + "digest=" + digest
            up, _ = run(kind, ["curl", "-sf", "-T", blob, "-H", "Content-Type: application/octet-stream", url])
            down, _ = run(kind, ["curl", "-sf", "-o", "/dev/null", f"http://127.0.0.1:{registry.port}/v2/bench/blobs/{digest}"])
            stat = pathlib.Path(f"/proc/{registry.process.pid}/stat").read_text().rpartition(")")[2].split()
            cpu = (int(stat[11]) + int(stat[12])) / TICK
            results.setdefault(kind, []).append((500 / up, 500 / down, registry.peak_memory(), cpu))
            registry.end()
    print("server".ljust(16), "MB/s up", "MB/s down", "peak MB", "CPU s", sep="\t")
    for kind, rows in results.items():
        print(f"  {kind}".ljust(16), *(f"{statistics.median(column):.1f}" for column in zip(*rows)), sep="\t")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--image", default="mid500:1")
    parser.add_argument("case", nargs="*")
    options = parser.parse_args()
    cases = options.case or CASES
    if unknown := [case for case in cases if case not in CASES]:
        sys.exit(f"bench: no such case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    tools = usable_tools(options.image) if set(cases) - {"server"} else {}
    with tempfile.TemporaryDirectory(prefix="ctr-bench.") as directory:
        for case in cases:
            if case == "server":
                measure_servers(pathlib.Path(directory), options.n)
                continue
            times, notes = measure(case, tools, options.image, options.n, pathlib.Path(directory))
            print(case)
            ours = statistics.median(wall for wall, _ in times["ctr"]) if "ctr" in times else None
            for tool, rows in times.items():
                wall, cpu = (statistics.median(column) for column in zip(*rows))
                ratio = f"{wall / ours:.1f}x" if ours else ""
                print(f"  {tool}".ljust(16), f"{wall:.2f} s", f"CPU {cpu:.2f} s", ratio, notes.get(tool, ""), sep="\t")


main()
