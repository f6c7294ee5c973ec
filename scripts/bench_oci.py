#!/usr/bin/env python3
"""Times `ctr-oci run` of one bundle (all namespaces, cgroups, Docker's seccomp profile) against crun and runc, in turn in
the same rounds, with the floor of `unshare -mpfnui --mount-proc true`. Prints medians, ratios and peak memory.

Usage: scripts/bench_oci.py [-n ROUNDS]     $CTR names the ctr to measure. Needs root, busybox-static, crun, runc.
crun refuses hybrid cgroups, so everything runs in a mount namespace of its own without /sys/fs/cgroup/unified there.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
CTR = os.environ.get("CTR", str(HERE / "build/release/bin/ctr"))


def hide_unified():
    """As tools that know plain v1 only need it; nothing changes outside."""
    if os.path.exists("/sys/fs/cgroup/unified") and not os.environ.get("CTR_BENCH_PRIVATE"):
        os.environ["CTR_BENCH_PRIVATE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                              'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"', "sh", sys.executable, *sys.argv])


def make_bundle(work, ctr_oci):
    bundle = work / "bundle"
    (bundle / "rootfs/bin").mkdir(parents=True)
    for name in ("etc", "proc", "sys", "dev", "tmp"):
        (bundle / "rootfs" / name).mkdir()
    shutil.copy("/bin/busybox", bundle / "rootfs/bin/busybox")
    os.symlink("busybox", bundle / "rootfs/bin/true")
    subprocess.run([ctr_oci, "spec", "--bundle", bundle], check=True)
    config = json.loads((bundle / "config.json").read_text())
    config["ociVersion"] = "1.0.2"
    config["process"].update(terminal=False, args=["true"])
    config["process"].pop("rlimits", None)
    config["linux"]["namespaces"] = [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")]
    config["linux"]["seccomp"] = docker_profile()
    config["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}], "pids": {"limit": 100},
                                    "memory": {"limit": 256 << 20}, "cpu": {"shares": 512}}
    config["linux"].pop("cgroupsPath", None)
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


def docker_profile():
    """Docker's default profile in the plain form of the specification."""
    for path in (HERE / "../shared/data/seccomp-default.json", HERE / "../../shared/data/seccomp-default.json"):
        if path.exists():
            return plain(json.loads(path.read_text()))
    sys.exit("bench_oci: there is no profile: shared/data/seccomp-default.json is missing")


def plain(profile):
    """moby's form with its conditions decided for a container with Docker's capabilities on this machine."""
    rules = []
    for rule in profile["syscalls"]:
        includes, excludes = rule.get("includes", {}), rule.get("excludes", {})
        if includes.get("caps") or ("arches" in includes and "amd64" not in includes["arches"] and "x32" not in includes["arches"]):
            continue
        if "arches" in excludes and "amd64" in excludes["arches"]:
            continue
        one = {"names": rule["names"], "action": rule["action"]}
        for key in ("args", "errnoRet"):
            if rule.get(key):
                one[key] = rule[key]
        rules.append(one)
    return {"defaultAction": profile["defaultAction"], "defaultErrnoRet": profile.get("defaultErrnoRet", 1),
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": rules}


def timed(argv):
    """Wall time and CPU time in ms of the command and all that it waited for."""
    start = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    elapsed = (time.perf_counter() - start) * 1000
    if status != 0:
        sys.exit(f"bench_oci: {' '.join(argv)} failed with {status}")
    return elapsed, (usage.ru_utime + usage.ru_stime) * 1000


def peak_kib(argv):
    """Peak memory, measured by a small parent: a program inherits the peak of the process that was replaced by it."""
    done = subprocess.run(["/bin/busybox", "time", "-f", "peak %M", *argv], capture_output=True, text=True, check=True)
    # busybox takes the kernel's KiB for pages.
    return int(done.stderr.split("peak ")[1]) * 1024 // os.sysconf("SC_PAGE_SIZE")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=20, help="rounds (default 20)")
    rounds = parser.parse_args().n
    hide_unified()
    with tempfile.TemporaryDirectory(prefix="ctr-bench.") as directory:
        work = pathlib.Path(directory)
        # As in their own default: state on a file system in memory.
        state = tempfile.mkdtemp(prefix="ctr-bench.", dir="/run")
        ctr_oci = str(work / "ctr-oci")
        os.symlink(os.path.abspath(CTR), ctr_oci)
        bundle = str(make_bundle(work, ctr_oci))
        tools = {"unshare": ["unshare", "-mpfnui", "--mount-proc", "true"]}
        for name, program in (("ctr-oci", ctr_oci), ("crun", "crun"), ("runc", "runc")):
            if shutil.which(program):
                tools[name] = [program, "--root", f"{state}/{name}", "run", "--bundle", bundle, f"bench-{name}"]
            else:
                print(f"{name}: not found, left out")
        results = {name: [] for name in tools}
        for number in range(rounds + 1):
            for name, argv in tools.items():
                result = timed(argv)
                if number > 0:  # the first is a warm-up
                    results[name].append(result)
        peaks = {name: peak_kib(argv) for name, argv in tools.items()}
        shutil.rmtree(state)
        floor = statistics.median(one[0] for one in results["unshare"])
        print(f"{'':10} {'median ms':>10} {'min ms':>8} {'x floor':>8} {'cpu ms':>8} {'peak MiB':>9}")
        for name, values in results.items():
            wall = [one[0] for one in values]
            print(f"{name:10} {statistics.median(wall):10.1f} {min(wall):8.1f} {statistics.median(wall) / floor:8.2f} "
                  f"{statistics.median(one[1] for one in values):8.1f} {peaks[name] / 1024:9.1f}")


if __name__ == "__main__":
    main()
