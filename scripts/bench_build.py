#!/usr/bin/env python3
"""Times builds of ctr against docker's BuildKit and buildah, in turn in the same rounds; prints medians and ratios.

Usage: scripts/bench_build.py [-n ROUNDS] [CASE...]
Cases: app-cold app-cached app-edit, echo-none echo-default (20 RUN echo), files-cold files-cached (20,000 files, 200 MB),
big-cold big-cached (5 files of 200 MB), stages (8 stages of RUN sleep 1; ctr with --jobs 8), memory (ctr alone: peak of a
COPY of 1 GB). Every cold round has a Dockerfile that was never built and files that are the same: what is measured is the
build, not the making of its input. Each tool needs the image busybox (app: node:21.7, if it has it); a tool that is
missing, or lacks the image, is left out and named. Run it on a machine that does nothing else; quote the ratios.
"""
import argparse
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
CTR = os.environ.get("CTR", str(HERE / "build/release/bin/ctr"))
APP = HERE / "testdata/sample-app"


def has_image(program, image):
    return subprocess.run([program, "image", "inspect", image] if "buildah" not in program else [program, "inspect", image],
                          capture_output=True, check=False).returncode == 0


def usable_tools():
    tools = {}
    for name, program in (("ctr", CTR), ("docker", "docker"), ("buildah", "buildah")):
        if not shutil.which(program):
            print(f"{name}: not found, left out")
        elif not has_image(program, "busybox"):
            print(f"{name}: has no image busybox, left out")
        else:
            tools[name] = program
    return tools


def timed(argv):
    environment = dict(os.environ, DOCKER_BUILDKIT="1", BUILDAH_LAYERS="true")
    start = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False,
                          env=environment)
    elapsed = (time.perf_counter() - start) * 1000
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(argv)} failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return elapsed


class Bench:
    def __init__(self, directory, tools):
        self.directory = directory
        self.tools = tools
        self.contexts = {}

    def context(self, name, fill):
        """A directory that is filled once."""
        if name not in self.contexts:
            path = self.directory / name
            path.mkdir()
            fill(path)
            subprocess.run(["sync"], check=False)
            self.contexts[name] = path
        return self.contexts[name]

    def dockerfile(self, path, text):
        file = self.directory / f"{path.name}.Dockerfile"
        file.write_text(text)
        return file

    def build(self, tool, path, text, *flags):
        program = self.tools[tool]
        file = self.dockerfile(path, text)
        return timed([program, "build", "-q", "-t", f"bench-{path.name}", "-f", str(file), *flags, str(path)])

    # ---- contexts ----

    @staticmethod
    def app(path):
        for file in APP.iterdir():
            if file.is_file() and file.name != "Dockerfile":
                shutil.copy(file, path)

    @staticmethod
    def files(path):
        for folder in range(200):
            (path / f"d{folder}").mkdir()
            for number in range(100):
                seed = f"{folder}-{number}-".encode()
                (path / f"d{folder}/f{number}").write_bytes((seed * 1100)[:10486])

    @staticmethod
    def big(path):
        block = os.urandom(1 << 20)
        for number in range(5):
            with open(path / f"big{number}", "wb") as file:
                for i in range(200):
                    file.write(i.to_bytes(8, "big") + block[8:])

    # ---- cases: what one round of a tool is ----

    def app_text(self, salt):
        base = "node:21.7" if all(has_image(p, "node:21.7") for p in self.tools.values()) else "busybox"
        return (f"FROM {base}\nENV SALT={salt}\nEXPOSE 8080\nRUN mkdir -p /home/node/app\nWORKDIR /home/node/app\n"
                "COPY . .\nCMD [\"node\", \"app.js\"]\n")

    def app_cold(self, tool, i):
        return self.build(tool, self.context("app", self.app), self.app_text(f"{tool}-{i}-{time.time_ns()}"))

    def app_cached(self, tool, i):
        return self.build(tool, self.context("app", self.app), self.app_text("fixed"))

    def app_edit(self, tool, i):
        path = self.context("app", self.app)
        (path / "app.js").write_text(f"// {i} {time.time_ns()}\n")
        return self.build(tool, path, self.app_text("fixed"))

    def echo(self, tool, i, *flags):
        steps = "".join(f"RUN echo {step}\n" for step in range(20))
        path = self.context("echo", lambda path: None)
        return self.build(tool, path, f"FROM busybox\nENV SALT={time.time_ns()}\n{steps}", *flags)

    def copy(self, tool, name, fill, salt):
        path = self.context(name, fill)
        return self.build(tool, path, f"FROM busybox\nENV SALT={salt}\nWORKDIR /w{salt}\nCOPY . .\n")

    def stages(self, tool, i):
        salt = time.time_ns()
        text = "".join(f"FROM busybox AS s{n}\nRUN sleep 1 && echo {salt} >/s{n}\n" for n in range(8))
        text += "FROM scratch\n" + "".join(f"COPY --from=s{n} /s{n} /\n" for n in range(8))
        flags = {"ctr": ["--jobs", "8"], "buildah": ["--jobs", "8"]}.get(tool, [])
        return self.build(tool, self.context("stages", lambda path: None), text, *flags)

    def table(self):
        def salt(i):
            return time.time_ns() if i is not None else "fixed"
        return {
            "app-cold": self.app_cold, "app-cached": self.app_cached, "app-edit": self.app_edit,
            "echo-none": lambda tool, i: self.echo(tool, i, "--network", "none"),
            "echo-default": lambda tool, i: self.echo(tool, i),
            "files-cold": lambda tool, i: self.copy(tool, "files", self.files, salt(i)),
            "files-cached": lambda tool, i: self.copy(tool, "files", self.files, "fixed"),
            "big-cold": lambda tool, i: self.copy(tool, "big", self.big, salt(i)),
            "big-cached": lambda tool, i: self.copy(tool, "big", self.big, "fixed"),
            "stages": self.stages,
        }

    def memory(self):
        self.copy("ctr", "big", self.big, time.time_ns())
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(f"{'memory':14} ctr's largest process: {peak / 1024:.1f} MiB (COPY of 1 GB)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("case", nargs="*")
    options = parser.parse_args()
    tools = usable_tools()
    if "ctr" not in tools:
        sys.exit("bench: ctr needs the image busybox: scripts/base-images busybox")
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(pathlib.Path(directory), tools)
        table = bench.table()
        unknown = [name for name in options.case if name not in table and name != "memory"]
        if unknown:
            sys.exit(f"bench: no such case: {', '.join(unknown)}; there are {', '.join(table)}, memory")
        for name in options.case or [*table, "memory"]:
            if name == "memory":
                bench.memory()
                continue
            times = {tool: [] for tool in tools}
            for tool in tools:  # a warm-up that is not counted
                table[name](tool, -1)
            for i in range(options.n):
                for tool in tools:
                    times[tool].append(table[name](tool, i))
            own = statistics.median(times["ctr"])
            words = [f"ctr {own:.1f} ms (min {min(times['ctr']):.1f})"]
            for tool in tools:
                if tool != "ctr":
                    median = statistics.median(times[tool])
                    words.append(f"{tool} {median:.1f} ms = {median / own:.1f} times ctr's")
            print(f"{name:14} {', '.join(words)}", flush=True)


if __name__ == "__main__":
    main()
