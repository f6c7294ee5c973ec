#!/usr/bin/env python3
"""Writes small tars of every kind of entry, as a corpus to start from. Usage: tar_seeds.py DIRECTORY"""
import io
import pathlib
import sys
import tarfile


def tar(entries, form):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, bufsize=512) as archive:
        for name, kind, more in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = kind, 0o755 if kind == tarfile.DIRTYPE else 0o644, 1_700_000_000
            content = more.get("content", b"")
            info.size = len(content)
            info.linkname = more.get("link", "")
            info.devmajor, info.devminor = more.get("device", (0, 0))
            info.pax_headers = more.get("pax", {})
            info.uid, info.gid = more.get("owner", (0, 0))
            archive.addfile(info, io.BytesIO(content))
    data = out.getvalue().rstrip(b"\0")
    return data + b"\0" * (-len(data) % 512 + 1024)


FILE, DIR, SYM, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
SETS = {
    "plain": [("d", DIR, {}), ("d/f", FILE, {"content": b"text"}), ("e", FILE, {"content": b"x" * 600, "owner": (1000, 1000)})],
    "links": [("a", FILE, {"content": b"1"}), ("b", HARD, {"link": "a"}), ("c", SYM, {"link": "../a"}), ("d", SYM, {"link": "/"})],
    "replaced": [("a", FILE, {"content": b"1"}), ("a", DIR, {}), ("a/b", FILE, {"content": b"2"}), ("a", SYM, {"link": "x"})],
    "whiteouts": [("d/.wh..wh..opq", FILE, {}), ("d/.wh.gone", FILE, {}), ("d/gone", FILE, {"content": b"back"}), (".wh.top", FILE, {})],
    "devices": [("n", tarfile.CHRTYPE, {"device": (1, 3)}), ("b", tarfile.BLKTYPE, {"device": (8, 0)}), ("p", tarfile.FIFOTYPE, {})],
    "implied": [("x/y/z", FILE, {"content": b"deep"}), ("./x/../w", FILE, {}), ("/abs", FILE, {}), ("x", DIR, {})],
    "pax": [("n" * 200, FILE, {"content": b"1", "pax": {"SCHILY.xattr.user.a": "b", "mtime": "1700000000.123456789"}}),
            ("f", FILE, {"pax": {"SCHILY.xattr.security.capability": "abc", "mtime": "-5.5"}})],
}
directory = pathlib.Path(sys.argv[1])
directory.mkdir(parents=True, exist_ok=True)
for name, entries in SETS.items():
    for form, label in ((tarfile.PAX_FORMAT, "pax"), (tarfile.GNU_FORMAT, "gnu")):
        (directory / f"{name}.{label}").write_bytes(tar(entries, form))
