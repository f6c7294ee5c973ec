#!/usr/bin/env python3
"""Times what people do with containers that live: ctr against podman and docker, in turn in the same rounds.

Usage: scripts/bench_life.py [-n ROUNDS] [CASE...]     cases: exec ps inspect logs stop start50 memory
Each tool needs the image busybox; one that is missing is left out and named. `stop` is a sleep without --init; `start50` starts
50 containers one after another; `memory` is the PSS of what holds one of these 50 (a shim, a conmon). Run it on a machine that
does nothing else; quote the ratios.
"""
import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
CTR = os.environ.get("CTR", str(HERE / "build/release/bin/ctr"))
HOLDERS = {"ctr": "ctr-shim", "podman": "conmon", "docker": "containerd-shim"}
SLEEP = ["busybox", "sleep", "100000"]


def run(argv):
    start = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
    elapsed = (time.perf_counter() - start) * 1000
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(argv)} failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return elapsed


def usable_tools():
    tools = {}
    for name, program in (("ctr", CTR), ("podman", "podman"), ("docker", "docker")):
        if not shutil.which(program):
            print(f"{name}: not found, left out")
        elif subprocess.run([program, "image", "inspect", "busybox"], capture_output=True, check=False).returncode != 0:
            print(f"{name}: has no image busybox, left out")
        else:
            tools[name] = program
    return tools


def start(program, name, command=None):
    run([program, "run", "-d", "--network", "none", "--name", name, *(command or SLEEP)])


def remove(program, *names):
    subprocess.run([program, "rm", "-f", *names], capture_output=True, check=False)


def holder_sizes(program):
    """PSS in kB of each process of that name (their `exe` says nothing: shims run from mounts without a path)."""
    sizes = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().startswith(program):
                rollup = (entry / "smaps_rollup").read_text()
                sizes.append(int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1]))
        except OSError:
            continue
    return sizes


def time_stop(program, number):
    start(program, f"bench-stop{number}")
    elapsed = run([program, "stop", f"bench-stop{number}"])
    remove(program, f"bench-stop{number}")
    return elapsed


def time_fifty(tool, program, sizes):
    names = [f"bench-many{i}" for i in range(50)]
    begin = time.perf_counter()
    for name in names:
        start(program, name)
    elapsed = (time.perf_counter() - begin) * 1000
    sizes[tool] = holder_sizes(HOLDERS[tool])
    remove(program, *names)
    return elapsed


def report(name, times):
    own = statistics.median(times["ctr"])
    words = [f"ctr {own:.1f} ms (min {min(times['ctr']):.1f})"]
    for tool in times:
        if tool != "ctr":
            median = statistics.median(times[tool])
            words.append(f"{tool} {median:.1f} ms = {median / own:.1f} times ctr's")
    print(f"{name:10} {', '.join(words)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=15, help="rounds (default 15)")
    parser.add_argument("case", nargs="*")
    options = parser.parse_args()
    tools = usable_tools()
    if "ctr" not in tools:
        sys.exit("bench: ctr needs the image busybox: scripts/base-images busybox")
    box = "bench-box"
    quick = {
        "exec": ["exec", box, "true"],
        "ps": ["ps"],
        "inspect": ["inspect", box],
        "logs": ["logs", box],
    }
    wanted = options.case or [*quick, "stop", "start50", "memory"]
    unknown = [name for name in wanted if name not in [*quick, "stop", "start50", "memory"]]
    if unknown:
        sys.exit(f"bench: no such case: {', '.join(unknown)}")
    for program in tools.values():
        remove(program, box, *[f"bench-many{i}" for i in range(50)])
        start(program, box, ["busybox", "sh", "-c", "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; exec sleep 100000"])
    try:
        for name, arguments in quick.items():
            if name not in wanted:
                continue
            times = {tool: [] for tool in tools}
            for number in range(-1, options.n):  # the first is not counted
                for tool, program in tools.items():
                    elapsed = run([program, *arguments])
                    if number >= 0:
                        times[tool].append(elapsed)
            report(name, times)
        if "stop" in wanted:
            rounds = max(3, options.n // 3)
            # podman and docker wait ten seconds for what has no handler.
            times = {tool: [time_stop(program, number) for number in range(rounds if tool == "ctr" else 1)] for tool, program in tools.items()}
            report("stop", times)
        if "start50" in wanted or "memory" in wanted:
            sizes = {}
            report("start50", {tool: [time_fifty(tool, program, sizes)] for tool, program in tools.items()})
            for tool, values in sizes.items():
                print(f"memory     {tool}: {statistics.median(values):.0f} kB of {HOLDERS[tool]}, the largest {max(values)} kB")
    finally:
        for program in tools.values():
            remove(program, box)


if __name__ == "__main__":
    main()
