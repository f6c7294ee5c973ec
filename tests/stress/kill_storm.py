"""Kills ctr, a shim or a container at random moments and looks whether the next command tells the truth and cleans up.
Usage: kill_storm.py CTR ROUNDS SEED IDS SECONDS. It ends after so many rounds or seconds, whichever comes first. Needs the image busybox; CTR_ROOT and CTR_RUN name a store of its own. The ids of
its containers are written to the file IDS."""
import json
import os
import random
import signal
import subprocess
import sys
import time

CTR, ROUNDS, SEED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
IDS = open(sys.argv[4], "w")
SECONDS = float(sys.argv[5])
ROOT, RUN = os.environ["CTR_ROOT"], os.environ["CTR_RUN"]
# Lines that count up, so that a hole in the log shows.
SCRIPT = "i=0; while :; do echo $i; i=$((i+1)); done"
DECISIONS = random.Random(SEED)


def fail(round_number, words):
    print(f"FAIL in round {round_number} of seed {SEED}: {words}", file=sys.stderr, flush=True)
    sys.exit(1)


def describe_processes():
    """What the store's processes, and what they started, wait for."""
    lines = []
    for name in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                is_ours = RUN.encode() in file.read()
            with open(f"/proc/{name}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
            if not is_ours and RUN not in line:
                continue
            with open(f"/proc/{name}/status") as file:
                status = dict(entry.split(":", 1) for entry in file.read().splitlines())
            with open(f"/proc/{name}/wchan") as file:
                waits = file.read()
            with open(f"/proc/{name}/syscall") as file:
                call = file.read().strip()
            files = [os.readlink(f"/proc/{name}/fd/{fd}") for fd in os.listdir(f"/proc/{name}/fd")]
        except OSError:
            continue
        lines.append(f"{name} of {status['PPid'].strip()} {status['State'].strip()} in {waits} ({call}): {line}\n    {files}")
    return "\n".join(lines)


def ctr(*arguments, timeout=60):
    child = subprocess.Popen([CTR, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, errors = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        print(f"{arguments} does not end (seed {SEED}):\n{describe_processes()}", file=sys.stderr, flush=True)
        child.kill()
        raise
    return subprocess.CompletedProcess(arguments, child.returncode, out, errors)


def processes():
    """Our own store's processes: pid -> command line."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if RUN in line and "ctr-shim" in line:
            found[int(name)] = line
    return found


def pid_of_container(container):
    """The pid in state.json, if it is still that process and not another one of the same number."""
    try:
        with open(f"{RUN}/containers/{container}/state.json") as file:
            state = json.load(file)
        with open(f"/proc/{state['pid']}/stat") as file:
            ticks = int(file.read().rsplit(")", 1)[1].split()[19])
        return state["pid"] if ticks == state["pid_start_ticks"] else 0
    except (OSError, ValueError, KeyError):
        return 0


def kill(pid):
    try:
        if pid > 0:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def container_ids():
    try:
        return [name for name in os.listdir(f"{ROOT}/containers") if len(name) == 64]
    except FileNotFoundError:
        return []


def check_log(round_number, container, is_one_run):
    directory = f"{ROOT}/containers/{container}"
    files = sorted((name for name in os.listdir(directory) if name == "log" or name.startswith("log.")),
                   key=lambda name: -int(name[4:] or 0))
    text = ""
    for name in files:
        with open(f"{directory}/{name}", "rb") as file:
            for line in file.read().splitlines():
                try:
                    text += json.loads(line)["log"]
                except ValueError:
                    fail(round_number, f"{name} has a line that is no JSON: {line[-200:]!r}")
    if not is_one_run:
        return  # each run counts from 0
    numbers = [int(line) for line in text.split("\n")[1:-1]]
    if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        fail(round_number, "the log has a hole")


def one_round(round_number):
    mode = DECISIONS.choice([["run", "-d"], ["run"], ["run", "--rm"], ["run", "-d", "--rm"], ["run", "-d", "--restart", "always"]])
    target = DECISIONS.choice(["ctr", "shim", "container", "shim and ctr"])
    delay = DECISIONS.random() ** 2 * 4 * UNIT
    client = subprocess.Popen([CTR, *mode, "--network", "none", "--name", f"storm{round_number}", "busybox", "sh", "-c", SCRIPT],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    time.sleep(delay)
    if "ctr" in target:
        client.kill()
    if "shim" in target:
        for pid in processes():
            kill(pid)
    if target == "container":
        for container in container_ids():
            kill(pid_of_container(container))
    if "-d" in mode and target == "container":
        client.wait(timeout=120)
    client.kill()
    client.wait()
    print(*container_ids(), sep="\n", file=IDS, flush=True)

    # The next command tells the truth, and does not hang.
    listed = ctr("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}}")
    if listed.returncode != 0:
        fail(round_number, f"ps: {listed.stderr}")
    states = dict(line.split() for line in listed.stdout.splitlines())
    for container, state in states.items():
        pid = pid_of_container(container)
        if state == "running" and not (pid and is_alive(pid)):
            # Its shim may be about to say so.
            end = time.time() + 10
            while time.time() < end:
                again = ctr("inspect", "-f", "{{.State.Status}}", container).stdout.strip()
                if again != "running" or is_alive(pid_of_container(container)):
                    break
            else:
                fail(round_number, f"{mode} {target}: {container} is said to run, but its process is dead")
        # The kernel kills it with its shim, which takes as long as it takes.
        end = time.time() + 10
        while state == "exited" and is_alive(pid) and not processes() and time.time() < end:
            time.sleep(0.01)
        if time.time() >= end:
            fail(round_number, f"{mode} {target}: {container} is said to have ended, but its process lives")
    for container in states:
        if os.path.exists(f"{ROOT}/containers/{container}"):
            ctr("logs", "--tail", "1", container)

    # And everything can be removed.
    for container in states:
        if os.path.exists(f"{ROOT}/containers/{container}/log") and states[container] != "running":
            check_log(round_number, container, "--restart" not in mode)
        removed = ctr("rm", "-f", container)
        if removed.returncode != 0 and "No such container" not in removed.stderr:
            fail(round_number, f"{mode} {target}: rm -f: {removed.stderr}")


# Moments are chosen in terms of what a whole run takes on this machine, as busy as it is.
start = time.time()
for _ in range(3):
    ctr("run", "--rm", "--network", "none", "busybox", "true")
UNIT = (time.time() - start) / 3
rounds = 0
while rounds < ROUNDS and time.time() - start < SECONDS:
    one_round(rounds)
    rounds += 1
print(f"{rounds} rounds in {time.time() - start:.0f} s")
# A container with --rm whose ctr was killed early may still be on its way; it ends by itself or by rm.
for _ in range(100):
    left = ctr("ps", "-aq").stdout.split()
    if not left and not processes():
        break
    for identifier in left:
        ctr("rm", "-f", identifier)
    time.sleep(0.1)
else:
    fail(ROUNDS, f"left behind: {left} {processes()}")
