"""root, mounts and rootfsPropagation of config.json."""
import os
import subprocess

from harness import check, equal, holds, holds_not, Failed, Skip


def mount_of(box, destination, script=""):
    """The last mount at that place as the container's mountinfo tells it: options, optional fields, type, super options."""
    for line in reversed(box.output(script + "cat /proc/self/mountinfo").splitlines()):
        left, right = line.split(" - ")
        fields = left.split()
        if fields[4] == destination:
            return {"options": fields[5].split(","), "tags": [tag.split(":")[0] for tag in fields[6:]],
                    "type": right.split()[0], "super": right.split()[2].split(",")}
    raise Failed(f"{destination} is not mounted")


def source(box, name="source"):
    path = os.path.join(box.path, name)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "file"), "w") as file:
        file.write("content\n")
    return path


class Mounted:
    """A mount of the host's for the length of a check."""

    def __init__(self, kind, path, *options):
        self.path = path
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "-t", kind, *options, kind, path], check=True)

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=True)


@check("the root is the bundle's, by relative and by absolute path")
def root_path(box):
    box.file("rootfs/mark", "here\n")
    equal(box.output("cat /mark"), "here")
    box.config["root"]["path"] = box.rootfs
    equal(box.output("cat /mark"), "here")


@check("a root that does not exist is an error that names it")
def missing_root(box):
    box.config["root"]["path"] = "nosuch"
    box.refused("nosuch")


@check("a read-only root refuses writes, mounts below it stay writable")
def readonly_root(box):
    box.config["root"]["readonly"] = True
    box.mount("/tmp", "tmpfs", ["mode=1777"], "tmpfs")
    equal(box.output("touch /x 2>&1; touch /tmp/x && echo fine").split("\n"), ["touch: /x: Read-only file system", "fine"])


@check("nothing of the host's tree is left in the container's")
def only_own_mounts(box):
    lines = box.output("cat /proc/self/mountinfo").splitlines()
    equal(sorted({line.split()[4].split("/")[1] for line in lines}), ["", "dev", "proc", "sys"])


@check("mounts are made in the order of the list")
def order(box):
    box.mount("/a", "tmpfs", [], "tmpfs")
    box.mount("/a/b", source(box), ["bind"])
    equal(box.output("cat /a/b/file"), "content")


@check("mount points are made: directories, and files for files")
def mount_points(box):
    path = source(box)
    box.mount("/deep/er/directory", path, ["rbind"])
    box.mount("/deep/er/file", os.path.join(path, "file"), ["rbind"])
    equal(box.output("cat /deep/er/file; test -f /deep/er/file && ls /deep/er/directory"), "content\nfile")


@check("relative sources belong to the bundle, relative destinations to the root")
def relative(box):
    source(box, "relative")
    box.mount("data", "relative", ["bind"])
    equal(box.output("cat /data/file"), "content")


@check("each option of a mount that restricts is in force, and its opposite lifts it")
def attributes(box):
    path = source(box)
    for option, opposite in (("ro", "rw"), ("nosuid", "suid"), ("nodev", "dev"), ("noexec", "exec"),
                             ("noatime", "atime"), ("nodiratime", "diratime"), ("nosymfollow", "symfollow")):
        base = list(box.config["mounts"])
        box.mount("/data", path, ["bind", option])
        holds(mount_of(box, "/data")["options"], option, "mountinfo")
        box.config["mounts"] = list(base)
        box.mount("/data", path, ["bind", option, opposite])
        holds_not(mount_of(box, "/data")["options"], option, f"mountinfo with {opposite}")
        box.config["mounts"] = base


@check("relatime, strictatime and norelatime are in force")
def times(box):
    base = list(box.config["mounts"])
    for options, shown in ((["relatime"], True), (["strictatime"], False), (["noatime", "relatime"], True)):
        box.config["mounts"] = list(base)
        box.mount("/data", "tmpfs", options, "tmpfs")
        equal("relatime" in mount_of(box, "/data")["options"], shown, str(options))


@check("a bind takes no mounts below it along, rbind does")
def recursion(box):
    path = source(box)
    with Mounted("tmpfs", os.path.join(path, "below")) as below:
        open(os.path.join(below, "inner"), "w").close()
        base = list(box.config["mounts"])
        box.mount("/data", path, ["bind"])
        equal(box.output("ls /data/below"), "")
        box.config["mounts"] = base
        box.mount("/data", path, ["rbind"])
        equal(box.output("ls /data/below"), "inner")


@check("recursive attributes reach the mounts below: rro, rnosuid, rnodev, rnoexec, rnoatime, rnosymfollow")
def recursive_attributes(box):
    path = source(box)
    with Mounted("tmpfs", os.path.join(path, "below")):
        for option in ("ro", "nosuid", "nodev", "noexec", "noatime", "nosymfollow", "nodiratime"):
            base = list(box.config["mounts"])
            box.mount("/data", path, ["rbind", option])
            holds_not(mount_of(box, "/data/below")["options"], option, "not recursive")
            box.config["mounts"] = list(base)
            box.mount("/data", path, ["rbind", "r" + option])
            holds(mount_of(box, "/data/below")["options"], option, "recursive")
            holds(mount_of(box, "/data")["options"], option, "the mount itself")
            box.config["mounts"] = base


@check("propagation of a mount: shared, slave, private, unbindable")
def propagation(box):
    path = source(box)
    base = list(box.config["mounts"])
    with Mounted("tmpfs", os.path.join(box.path, "shared")) as shared:
        subprocess.run(["mount", "--make-shared", shared], check=True)
        for options, tags in ((["bind", "private"], []), (["bind", "shared"], ["shared"]),
                              (["rbind", "rslave"], ["master"]), (["bind", "unbindable"], ["unbindable"]),
                              (["rbind", "rprivate"], [])):
            box.config["mounts"] = list(base)
            box.mount("/data", shared, options)
            got = mount_of(box, "/data")["tags"]
            if options[1] == "shared":
                holds(got, "shared", str(options))
            else:
                equal(got, tags, str(options))


@check("a tmpfs has its size, mode, owner and number of inodes")
def tmpfs(box):
    box.mount("/data", "tmpfs", ["size=64k", "mode=0750", "uid=3", "gid=4", "nr_inodes=10", "noexec"], "tmpfs")
    equal(box.output("stat -c '%a %u %g' /data; dd if=/dev/zero of=/data/x bs=1k count=100 2>/dev/null; stat -c %s /data/x; "
                     "for i in 1 2 3 4 5 6 7 8 9 10 11; do touch /data/f$i 2>/dev/null || break; done; ls /data | wc -l"
                     ).split("\n")[:2], ["750 3 4", "65536"])


@check("a tmpfs without a mode looks like the directory that it covers")
def tmpfs_mode(box):
    os.makedirs(os.path.join(box.rootfs, "covered"))
    os.chmod(os.path.join(box.rootfs, "covered"), 0o1751)
    os.chown(os.path.join(box.rootfs, "covered"), 11, 12)
    box.mount("/covered", "tmpfs", ["nosuid"], "tmpfs")
    equal(box.output("stat -c '%a %u %g' /covered"), "1751 11 12")


@check("tmpcopyup starts with what the image has there")
def copy_up(box):
    os.makedirs(os.path.join(box.rootfs, "data/inner"))
    box.file("rootfs/data/inner/file", "image\n", 0o640)
    os.symlink("inner/file", os.path.join(box.rootfs, "data/link"))
    box.mount("/data", "tmpfs", ["tmpcopyup"], "tmpfs")
    equal(box.output("cat /data/link; stat -c %a /data/inner/file; echo new >/data/inner/file; cat /data/link"),
          "image\n640\nnew")
    equal(open(os.path.join(box.rootfs, "data/inner/file")).read(), "image\n", "the image")


@check("an idmapped mount shows shifted ids, with and without ids of its own")
def idmap(box):
    path = source(box)
    os.chown(os.path.join(path, "file"), 5, 6)
    mapping = {"uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1000}],
               "gidMappings": [{"containerID": 0, "hostID": 2000, "size": 1000}]}
    base = list(box.config["mounts"])
    for options in (["bind", "idmap"], ["rbind", "ridmap"], ["bind"]):
        box.config["mounts"] = list(base)
        box.mount("/data", path, options, **mapping)
        result = box.run_script("stat -c '%u %g' /data/file")
        if "map the ids" in result.stderr:
            raise Skip("this file system has no idmapped mounts: " + result.stderr.strip())
        equal(result.stdout.strip(), "1005 2006", str(options))


@check("an idmapped mount without any mapping is an error")
def idmap_without_mapping(box):
    box.mount("/data", source(box), ["bind", "idmap"])
    box.refused("map")


@check("options of the file system reach it, unknown ones are an error that names the mount")
def data(box):
    box.mount("/data", "tmpfs", ["size=1m", "nosuch=1"], "tmpfs")
    box.refused("/data")


@check("a type that this kernel does not have is an error that names it")
def unknown_type(box):
    box.mount("/data", "x", [], "nosuchfs")
    box.refused("nosuchfs")


@check("proc, sysfs, devpts and mqueue are those of the container's namespaces")
def kernel_file_systems(box):
    box.mount("/dev/mqueue", "mqueue", ["nosuid", "noexec", "nodev"], "mqueue")
    # Of processes there is only the shell itself while the pattern is expanded.
    equal(box.output("echo $$; echo /proc/[0-9]*; ls /sys/class/net; stat -f -c %T /dev/mqueue >/dev/null; "
                     "ls /dev/pts").split("\n")[:3], ["1", "/proc/1", "lo"])


@check("the container's part of each cgroup is mounted, read-only if asked for")
def cgroup(box):
    box.add_namespace("cgroup")
    box.mount("/sys/fs/cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"], "cgroup")
    got = box.output("cat /sys/fs/cgroup/pids/cgroup.procs /sys/fs/cgroup/cgroup.procs 2>/dev/null | head -1; "
                     "mkdir /sys/fs/cgroup/pids/x /sys/fs/cgroup/x 2>/dev/null || echo refused")
    equal(got.split("\n"), ["1", "refused"])


@check("rootfsPropagation is that of the root")
def root_propagation(box):
    for wanted, tag in (("private", None), ("rprivate", None), ("shared", "shared"), ("rshared", "shared"),
                        ("unbindable", "unbindable")):
        box.linux["rootfsPropagation"] = wanted
        tags = mount_of(box, "/")["tags"]
        equal(tags[:1], [tag] if tag else [], wanted)
    box.linux["rootfsPropagation"] = "slave"
    holds_not(mount_of(box, "/")["tags"], "shared", "slave")
    box.linux["rootfsPropagation"] = "nosuch"
    box.refused("nosuch")


@check("masked paths hide files and directories, absent ones are no matter")
def masked(box):
    os.makedirs(os.path.join(box.rootfs, "secrets"))
    box.file("rootfs/secrets/key", "secret\n")
    box.file("rootfs/secret", "secret\n")
    box.linux["maskedPaths"] = ["/secrets", "/secret", "/nosuch", "/proc/version"]
    equal(box.output("ls /secrets; cat /secret; wc -c </proc/version; touch /secrets/x 2>/dev/null || echo refused"),
          "0\nrefused")


@check("read-only paths can be read and not written")
def readonly_paths(box):
    os.makedirs(os.path.join(box.rootfs, "fixed"))
    box.file("rootfs/fixed/file", "there\n")
    box.linux["readonlyPaths"] = ["/fixed", "/nosuch", "/proc/sys"]
    equal(box.output("cat /fixed/file; touch /fixed/x 2>/dev/null || echo refused; "
                     "echo x 2>/dev/null >/proc/sys/kernel/hostname || echo refused"), "there\nrefused\nrefused")


@check("--no-pivot gives the same root")
def no_pivot(box):
    box.file("rootfs/mark", "here\n")
    box.script("cat /mark; ls /")
    result = box.run("--no-pivot")
    holds(result.stdout, "here")
    holds_not(result.stdout, "home")
