#!/usr/bin/env python3
"""Checks who includes whom: the arrows of the folders, and that each third-party header stays in its place."""
import pathlib
import re
import sys

ARROWS = {
    "base": set(),
    "image": {"base"},
    "runtime": {"base"},
    "registry": {"image", "base"},
    "builder": {"image", "runtime", "base"},
    "shim": {"runtime", "base"},
    "engine": {"builder", "registry", "runtime", "image", "base"},
    "cli": {"engine", "image", "base"},
}
# A single header of a folder that another may see besides, with the reason.
EXCEPTIONS = {
    ("engine", "shim/protocol.h"): "what engine/ and ctr-shim say to each other",
    ("cli", "registry/progress.h"): "the interface that a view of pull and push implements",
    ("cli", "registry/login.h"): "host names as login shows them",
    ("cli", "runtime/oci_main.h"): "ctr-oci is the same program under another name",
    ("cli", "builder/csv.h"): "the grammar of --mount",
}
# Third-party headers and the files that may include them.
FOREIGN = {
    r"nlohmann/": r"base/json\.cpp",
    r"curl/": r"registry/curl_transport.*\.cpp",
    r"archive(_entry)?\.h": r"image/.*\.cpp",
    r"openssl/": r"(image|registry)/.*\.cpp",
    r"seccomp\.h": r"runtime/seccomp.*\.cpp",
    r"libnftnl/|libmnl/|netlink/": r"runtime/(netlink|nftables|network).*\.cpp",
    r"microhttpd\.h": r"registry/server/http_server\.cpp",
    r"crypt\.h": r"registry/server/htpasswd\.cpp",
}


def shared_type_names(root: pathlib.Path) -> list[str]:
    """Two types of one name are one type to the linker: each name of namespace ctr may be defined in one file."""
    where: dict[str, str] = {}
    problems = []
    for folder in ARROWS:
        for path in sorted((root / folder).rglob("*.h")):
            name = path.relative_to(root).as_posix()
            for line in path.read_text().splitlines():
                found = re.match(r"(?:struct|class|enum class) (\w+)(?: final)?(?: :[^:].*)? \{", line)
                if not found:
                    continue
                other = where.setdefault(found.group(1), name)
                if other != name:
                    problems.append(f"{name}: {found.group(1)} is also defined in {other}")
    return problems


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    problems = shared_type_names(root)
    for folder, allowed in ARROWS.items():
        for path in sorted((root / folder).rglob("*.[hc]*")):
            name = path.relative_to(root).as_posix()
            for number, line in enumerate(path.read_text().splitlines(), 1):
                own = re.match(r'\s*#include "([^"]+)"', line)
                if own:
                    target = own.group(1)
                    other = target.split("/")[0]
                    if other != folder and other not in allowed and (folder, target) not in EXCEPTIONS:
                        problems.append(f"{name}:{number}: {folder}/ must not include {target}")
                foreign = re.match(r"\s*#include <([^>]+)>", line)
                if foreign:
                    for pattern, place in FOREIGN.items():
                        if re.match(pattern, foreign.group(1)) and not re.fullmatch(place, name):
                            problems.append(f"{name}:{number}: <{foreign.group(1)}> belongs in {place}")
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems with includes")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
