#!/usr/bin/env python3
"""Describes an image archive (`docker save`, `ctr save`) as JSON that can be compared: its config, the instructions of its
history (their wording differs between BuildKit's versions) and, one line a file, the tree that its layers make. What is the same in the base archive is left out; times are kept only where
a context set them (before 2015), for all others are the build's.

Usage: image_record.py IMAGE.tar BASE.tar [--source TEXT] [--replace OLD=NEW]...
"""
import argparse
import gzip
import hashlib
import io
import json
import tarfile

TYPES = {tarfile.REGTYPE: "-", tarfile.AREGTYPE: "-", tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.CHRTYPE: "c",
         tarfile.BLKTYPE: "b", tarfile.FIFOTYPE: "p"}
BUILD_TIME_FROM = 1420070400  # 2015
CONFIG_KEYS = ["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Healthcheck", "ArgsEscaped", "Volumes", "WorkingDir",
               "OnBuild", "Labels", "StopSignal", "Shell"]


def layer_members(data):
    """The entries of a layer, with hard links as copies of what they name and the number of names."""
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    archive = tarfile.open(fileobj=io.BytesIO(data))
    seen = {}
    for member in archive:
        path = member.name.strip("/").removeprefix("./")
        if path in ("", "."):
            continue
        if member.islnk():
            seen[path] = seen[member.linkname.strip("/").removeprefix("./")]
        else:
            content = archive.extractfile(member).read() if member.isreg() else b""
            seen[path] = (member, content)
        yield path, *seen[path], member.islnk()


def remove_below(tree, path):
    for other in [p for p in tree if p.startswith(path + "/")]:
        del tree[other]


def describe(member, content):
    kind = TYPES[member.type]
    line = "%s%04o %d:%d" % (kind, 0o777 if kind == "l" else member.mode & 0o7777, member.uid, member.gid)
    if kind == "-":
        line += " %d sha256:%s" % (len(content), hashlib.sha256(content).hexdigest())
    if kind in "cb":
        line += " %d,%d" % (member.devmajor, member.devminor)
    if kind == "-" and member.mtime < BUILD_TIME_FROM:
        line += " @%d" % member.mtime
    for key, value in sorted(member.pax_headers.items()):
        if key.startswith("SCHILY.xattr."):
            line += " %s=%s" % (key.removeprefix("SCHILY.xattr."), value.encode("utf-8", "surrogateescape").hex())
    return line, member.linkname if kind == "l" else None


def load(path):
    archive = tarfile.open(path)
    manifest = json.load(archive.extractfile("manifest.json"))[0]
    config = json.load(archive.extractfile(manifest["Config"]))
    tree = {}
    for layer in manifest["Layers"]:
        try:
            data = archive.extractfile(layer).read()
        except KeyError:  # an empty layer that is a link to another
            data = archive.extractfile(archive.getmember(layer).linkname).read()
        fresh = set()
        for name, member, content, is_link in layer_members(data):
            folder, _, base = name.rpartition("/")
            if base == ".wh..wh..opq":
                for other in [p for p in tree if p.startswith(folder + "/") and p not in fresh]:
                    del tree[other]
                continue
            if base.startswith(".wh."):
                hidden = (folder + "/" if folder else "") + base.removeprefix(".wh.")
                tree.pop(hidden, None)
                remove_below(tree, hidden)
                continue
            if not member.isdir():
                remove_below(tree, name)
            tree[name] = describe(member, content)
            fresh.add(name)
    return config, tree


def lines_of(tree, base):
    result = []
    for path, (line, link) in sorted(tree.items()):
        if base.get(path) != (line, link):
            result.append("%s /%s%s" % (line, path, " -> " + link if link is not None else ""))
    result += ["gone /" + path for path in sorted(base) if path not in tree]
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("image")
    parser.add_argument("base")
    parser.add_argument("--source")
    parser.add_argument("--replace", action="append", default=[])
    arguments = parser.parse_args()
    config, tree = load(arguments.image)
    base_config, base = load(arguments.base)
    inner = config.get("config") or {}
    record = {}
    if arguments.source:
        record["source"] = arguments.source
    record["platform"] = "/".join(filter(None, [config["os"], config["architecture"], config.get("variant")]))
    if config.get("author"):
        record["author"] = config["author"]
    record["config"] = {key: inner[key] for key in CONFIG_KEYS if inner.get(key)}
    history = config.get("history", [])
    own = len(base_config["history"]) if history[:1] and history[0].get("created_by") == base_config["history"][0].get("created_by") else 0
    record["history"] = [("- " if h.get("empty_layer") else "+ ") + h.get("created_by", "").split()[0] for h in history[own:]]
    record["files"] = lines_of(tree, base if own else {})
    text = json.dumps(record, indent=1, ensure_ascii=False)
    for replacement in arguments.replace:
        old, new = replacement.split("=", 1)
        text = text.replace(old, new)
    print(text)


main()
