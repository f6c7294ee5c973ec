#!/usr/bin/env python3
"""Measures layers: pull, COPY, rmi, reading in a container, run over many layers, page cache and disk space, with layers
as images and as directories in turn, and prints medians.

Usage: scripts/bench_layers.py [-n ROUNDS] [--files N] [--megabytes M] [CASE...]
Cases: pull copy rmi read run cache disk. Needs root and the package busybox-static; it works in stores of its own below
$TMPDIR and serves the image from `ctr registry serve`; `pigz -d` of the layers stands beside pull. Tests never assert on time: quote the ratios, from a machine that does nothing else.
"""
import argparse
import json
import os
import pathlib
import random
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
FORMS = ("erofs", "directory")


class Store:
    """A store whose new layers have one form."""

    def __init__(self, work, name, form):
        self.root = work / name
        self.env = dict(os.environ, CTR_ROOT=str(self.root), CTR_RUN=str(work / (name + "-run")), CTR_LAYER_FORMAT=form)

    def ctr(self, *words, check=True):
        done = subprocess.run([CTR, *words], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if check and done.returncode != 0:
            sys.exit(f"bench: ctr {' '.join(words)} failed: {done.stderr.decode(errors='replace').strip()[-500:]}")
        return done.stdout.decode()

    def time(self, *words):
        begin = time.perf_counter()
        self.ctr(*words)
        return (time.perf_counter() - begin) * 1000

    def reset(self):
        self.ctr("system", "reset", "-f", check=False)


def make_files(directory, count, megabytes):
    """Files of many sizes whose content compresses to about a third, as programs and texts do."""
    generator = random.Random(1)
    words = [generator.randbytes(6).hex().encode() for _ in range(4000)]
    average = megabytes * 1_000_000 / count
    for number in range(count):
        size = int(min(generator.expovariate(1 / average), 40 * average))
        place = directory / f"d{number % 200}" / f"e{number % 7}"
        if number < 1400:
            place.mkdir(parents=True, exist_ok=True)
        parts, length = [], 0
        while length < size:
            parts.append(words[int(generator.random() * 4000)])
            length += 12
        (place / f"file-{number}.txt").write_bytes(b"".join(parts)[:size])


def busybox(context):
    (context / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", context / "bin/busybox")
    for name in ("sh", "cat", "find", "true", "xargs", "sleep"):
        os.symlink("busybox", context / "bin" / name)


def drop_caches():
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")


def cached_kib():
    fields = dict(line.split(":") for line in pathlib.Path("/proc/meminfo").read_text().splitlines())
    return int(fields["Cached"].split()[0]) + int(fields["Buffers"].split()[0])


def report(case, name, values, unit="ms"):
    print(f"{case:8} {name:28} {statistics.median(values):10.1f} {unit}   (of {len(values)}: {min(values):.1f} to {max(values):.1f})", flush=True)


class Bench:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.context = work / "context"
        busybox(self.context)
        (self.context / "files").mkdir()
        make_files(self.context / "files", options.files, options.megabytes)
        parts = "\n".join(f"COPY files/d{i}* /data/{i}/" for i in range(1, 9))
        (self.context / "Dockerfile").write_text(f"FROM scratch\nCOPY bin /bin\n{parts}\nCOPY files/d9* files/d0* /data/9/\n")
        (self.context / "one").write_text("FROM scratch\nCOPY bin /bin\nCOPY files /data\n")
        self.stores = {form: Store(work, form, form) for form in FORMS}
        self.server = None

    def build(self, store, file="Dockerfile", name="bench"):
        store.ctr("build", "-q", "--no-cache", "-f", str(self.context / file), "-t", name, str(self.context))

    def registry(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        store = Store(self.work, "server", "auto")
        self.server = subprocess.Popen([CTR, "registry", "serve", "--listen", f"127.0.0.1:{port}"], env=store.env,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.name = f"127.0.0.1:{port}/bench:1"
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        sys.exit("bench: the registry does not answer")

    def pull(self):
        self.registry()
        builder = self.stores["directory"]
        self.build(builder)
        builder.ctr("tag", "bench", self.name)
        builder.ctr("push", "-q", self.name)
        builder.reset()
        times = {form: [] for form in FORMS}
        inflate = []
        for _ in range(self.options.n):
            for form, store in self.stores.items():
                times[form].append(store.time("pull", "-q", self.name))
                blobs = [b for b in (store.root / "blobs/sha256").iterdir() if b.stat().st_size > 100_000]
                if shutil.which("pigz") and form == "erofs":
                    begin = time.perf_counter()
                    for blob in blobs:
                        with blob.open("rb") as stream:
                            subprocess.run(["pigz", "-dc"], stdin=stream, stdout=subprocess.DEVNULL, check=True)
                    inflate.append((time.perf_counter() - begin) * 1000)
                store.reset()
        for form in FORMS:
            report("pull", form, times[form])
        if inflate:
            report("pull", "pigz -d of its layers", inflate)

    def copy(self):
        for form, store in self.stores.items():
            times = []
            for _ in range(self.options.n):
                begin = time.perf_counter()
                self.build(store, "one")
                times.append((time.perf_counter() - begin) * 1000)
                store.reset()
            report("copy", form, times)
        begin = time.perf_counter()
        subprocess.run(f"find {self.context}/files -type f -print0 | xargs -0 sha256sum >/dev/null", shell=True, check=True)
        report("copy", "sha256sum of the files", [(time.perf_counter() - begin) * 1000])

    def rmi(self):
        for form, store in self.stores.items():
            times = []
            for _ in range(self.options.n):
                self.build(store)
                store.ctr("builder", "prune", "-af")
                times.append(store.time("rmi", "bench"))
            report("rmi", form, times)
            store.reset()

    def read(self):
        command = ("run", "--rm", "--network", "none", "bench", "sh", "-c", "find /data -type f -print0 | xargs -0 cat >/dev/null")
        for form, store in self.stores.items():
            self.build(store)
            cold, warm = [], []
            for _ in range(self.options.n):
                drop_caches()
                cold.append(store.time(*command))
                warm.append(store.time(*command))
            report("read", form + ", cold", cold)
            report("read", form + ", warm", warm)
            store.reset()

    def run(self):
        for form, store in self.stores.items():
            lines = "\n".join(f"COPY one /layer{i}" for i in range(11))
            (self.context / "many").write_text(f"FROM scratch\nCOPY bin /bin\n{lines}\n")
            (self.context / "single").write_text("FROM scratch\nCOPY bin /bin\n")
            self.build(store, "many", "many")
            self.build(store, "single", "single")
            times = {"many": [], "single": []}
            for _ in range(max(self.options.n, 15)):
                for name, values in times.items():
                    values.append(store.time("run", "--rm", "--network", "none", name, "true"))
            report("run", form + ", 1 layer", times["single"])
            report("run", form + ", 12 layers", times["many"])
            store.reset()

    def cache(self):
        command = "find /data -type f -print0 | xargs -0 cat >/dev/null"
        for form, store in self.stores.items():
            self.build(store)
            drop_caches()
            sizes = [cached_kib()]
            for name in ("first", "second"):
                store.ctr("run", "--rm", "--network", "none", "--name", name, "bench", "sh", "-c", command)
                sizes.append(cached_kib())
            report("cache", form + ", first container", [(sizes[1] - sizes[0]) / 1024], "MiB")
            report("cache", form + ", second container", [(sizes[2] - sizes[1]) / 1024], "MiB")
            store.reset()

    def disk(self):
        for form, store in self.stores.items():
            self.build(store)
            tars = sum(json.loads(path.read_text())["tarSize"] for path in (store.root / "layers").glob("*/layer.json"))
            used = int(subprocess.run(["du", "-s", "-B1", store.root / "layers"], capture_output=True, check=True).stdout.split()[0])
            report("disk", form + ", of the tars", [100 * used / tars], "%")
            store.reset()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=5)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("cases", nargs="*", default=["pull", "copy", "rmi", "read", "run", "cache", "disk"])
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="ctr-bench-layers."))
    bench = None
    try:
        bench = Bench(options, work)
        for case in options.cases:
            getattr(bench, case)()
    finally:
        if bench:
            for store in bench.stores.values():
                store.reset()
            if bench.server:
                bench.server.send_signal(signal.SIGTERM)
                bench.server.wait()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
