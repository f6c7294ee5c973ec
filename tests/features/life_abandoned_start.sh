#!/usr/bin/env bash
# A ctr that is killed while it starts a container leaves a shim that goes on; the next command neither waits for the end
# of what begins there nor overlooks it.
. "$(dirname "$0")/lib.bash"
need_root
need_program python3
busybox_image

# Starts a container, stops its shim before the run has begun, kills ctr, and prints the shim's pid.
cat >"$work/abandon.py" <<'PYTHON'
import os, signal, subprocess, sys, time

ctr, run = sys.argv[1], os.environ["CTR_RUN"]


def shim(known):
    for name in set(os.listdir("/proc")) - known:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                line = file.read()
        except OSError:
            continue
        if run.encode() in line and b"ctr-shim\0run" in line:
            return int(name)
    return 0


for attempt in range(100):
    known = set(os.listdir("/proc"))
    client = subprocess.Popen([ctr, *sys.argv[2:]], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while client.poll() is None:
        pid = shim(known)
        if pid:
            os.kill(pid, signal.SIGSTOP)
            break
    client.kill()
    client.wait()
    begun = any(os.path.exists(f"{run}/containers/{name}/state.json") for name in os.listdir(f"{run}/containers"))
    locked = any(os.path.exists(f"{run}/containers/{name}/shim.lock") for name in os.listdir(f"{run}/containers"))
    if pid and locked and not begun:
        print(pid)
        sys.exit(0)
    if pid:
        os.kill(pid, signal.SIGCONT)
    subprocess.run([ctr, "rm", "-f", "late"], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
sys.exit("no shim was caught before its run began")
PYTHON

for command in "rm -f late" "start late"; do
  pid=$(python3 "$work/abandon.py" "$CTR" run -d --name late --network none busybox sleep 1000)
  # shellcheck disable=SC2086
  timeout 60 "$CTR" $command >"$work/out" 2>&1 &
  waiter=$!
  sleep 0.2  # so that it meets the shim as it is; later is no failure
  kill -CONT "$pid"
  wait "$waiter" || fail "$command: status $?: $(cat "$work/out")"
  if [ "$command" = "start late" ]; then
    is "$(ctr exec late echo alive)" alive
    ctr rm -f late >/dev/null
  fi
  is "$(ctr ps -aq)" "" "containers left behind by $command"
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || continue 2
    sleep 0.1
  done
  fail "the shim outlived $command"
done
