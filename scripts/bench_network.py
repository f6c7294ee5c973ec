#!/usr/bin/env python3
"""Times networks: ctr against podman and docker, in turn in the same rounds, and against what the kernel gives by itself.

Usage: scripts/bench_network.py [-n ROUNDS] [--address ADDRESS] [CASE...]     cases: requests run many
`requests`: requests a second (wrk) to one server, on the host and through a published port of each tool, by 127.0.0.1 or the given
address of the host (docker answers on its loopback by a program of its own, elsewhere by the kernel); the share of the host's is
printed. `run`: `run --rm true` on the default bridge, less the same with --network none. `many`: `run -d` as the 200th container of a
network against the 2nd (with a second ctr network beside, in turn). Each tool needs the image busybox; one that is missing is left out
and named. Run it as root on a machine that does nothing else; quote the ratios.
"""
import argparse
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
CTR = os.environ.get("CTR", str(HERE / "build/release/bin/ctr"))
# One thread, one connection at a time would measure the client: a small server with kept connections.
SERVER = """
import select, socket
answer = b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nok\\n"
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", PORT))
listener.listen(128)
poll, clients = select.epoll(), {}
poll.register(listener, select.EPOLLIN)
while True:
    for fd, _ in poll.poll():
        if fd == listener.fileno():
            client = listener.accept()[0]
            clients[client.fileno()] = client
            poll.register(client, select.EPOLLIN)
            continue
        try:
            data = clients[fd].recv(4096)
            if data:
                clients[fd].send(answer)
                continue
        except OSError:
            pass
        poll.unregister(fd)
        clients.pop(fd).close()
"""


def run(argv):
    start = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
    elapsed = (time.perf_counter() - start) * 1000
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(argv)} failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return elapsed


def output(argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


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


def remove(program, *names):
    subprocess.run([program, "rm", "-f", *names], capture_output=True, check=False)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for(address, port):
    for _ in range(500):
        try:
            with socket.create_connection((address, port), timeout=1) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                if sock.recv(100):
                    return
        except OSError:
            pass
        time.sleep(0.02)
    sys.exit(f"bench: nothing answers on port {port}")


def wrk(address, port, seconds):
    text = output(["wrk", "-t", "1", "-c", "16", "-d", f"{seconds}s", f"http://{address}:{port}/"])
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))


def bench_requests(tools, rounds, address):
    if not shutil.which("wrk"):
        sys.exit("bench: requests needs wrk")
    ports, servers = {"host": free_port()}, []
    servers.append(subprocess.Popen([sys.executable, "-c", SERVER.replace("PORT", str(ports["host"]))]))
    for tool, program in tools.items():
        ports[tool] = free_port()
        remove(program, "bench-web")
        run([program, "run", "-d", "--name", "bench-web", "-p", f"{ports[tool]}:80", "busybox", "sleep", "100000"])
        pid = output([program, "inspect", "-f", "{{.State.Pid}}", "bench-web"])
        servers.append(subprocess.Popen(["nsenter", "-t", pid, "-n", sys.executable, "-c", SERVER.replace("PORT", "80")]))
    rates = {name: [] for name in ports}
    try:
        for port in ports.values():
            wait_for(address, port)
            wrk(address, port, 1)
        for _ in range(rounds):
            for name, port in ports.items():
                rates[name].append(wrk(address, port, 2))
    finally:
        for server in servers:
            server.kill()
        for program in tools.values():
            remove(program, "bench-web")
    host = statistics.median(rates["host"])
    print(f"requests   {address}: host {host:.0f}/s", *[f"{name} {statistics.median(rates[name]) / host:.2f} of the host's" for name in tools],
          sep=", ", flush=True)


def bench_run(tools, rounds):
    extra, base = {}, {}
    for _ in range(rounds):
        for tool, program in tools.items():
            none = run([program, "run", "--rm", "--network", "none", "busybox", "true"])
            bridge = run([program, "run", "--rm", "busybox", "true"])
            extra.setdefault(tool, []).append(bridge)
            base.setdefault(tool, []).append(none)
    for tool in tools:
        bridge, none = statistics.median(extra[tool]), statistics.median(base[tool])
        print(f"run        {tool}: bridge {bridge:.1f} ms, none {none:.1f} ms: {bridge - none:.1f} ms more", flush=True)


def bench_many(program, rounds):
    network, small = "bench-many", "bench-few"
    for name in (network, small):
        run([program, "network", "create", "--subnet", f"10.{77 if name == network else 78}.0.0/16", name])
    start = [program, "run", "-d", "--network"]
    crowd = [f"bench-m{i}" for i in range(199)]
    second, last = [], []
    try:
        run([*start, small, "--name", "bench-first", "busybox", "sleep", "100000"])
        for name in crowd:
            run([*start, network, "--name", name, "busybox", "sleep", "100000"])
        for _ in range(rounds):
            for name, times in ((small, second), (network, last)):
                times.append(run([*start, name, "--name", "bench-next", "busybox", "sleep", "100000"]))
                remove(program, "bench-next")
    finally:
        remove(program, "bench-first", "bench-next", *crowd)
        for name in (network, small):
            subprocess.run([program, "network", "rm", name], capture_output=True, check=False)
    two, many = statistics.median(second), statistics.median(last)
    print(f"many       2nd {two:.1f} ms, 200th {many:.1f} ms: {many / two:.2f} times", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=10, help="rounds (default 10)")
    parser.add_argument("--address", default="127.0.0.1", help="the host's address that clients of `requests` use")
    parser.add_argument("case", nargs="*")
    options = parser.parse_args()
    wanted = options.case or ["requests", "run", "many"]
    if unknown := [name for name in wanted if name not in ("requests", "run", "many")]:
        sys.exit(f"bench: no such case: {', '.join(unknown)}")
    tools = usable_tools()
    if "ctr" not in tools:
        sys.exit("bench: ctr needs the image busybox: scripts/base-images busybox")
    if "requests" in wanted:
        bench_requests(tools, options.n, options.address)
    if "run" in wanted:
        bench_run(tools, options.n)
    if "many" in wanted:
        bench_many(tools["ctr"], options.n)


if __name__ == "__main__":
    main()
