"""Says what a program under test answers differently from docker, and whether that is what the file of exceptions lists.
Usage: differences.py DOCKER_OUTPUT OUTPUT EXCEPTIONS. An exception is the command, what docker said (-) and what we say (+),
under a line `# reason`; each must still be true. With EXCEPTIONS absent it prints the differences in that form."""
import difflib
import sys


def commands(path):
    """The command lines of a run with what each printed, in order; headings are left out."""
    found = []
    for line in open(path, encoding="utf-8").read().split("\n"):
        if line.startswith("$ "):
            found.append((line, []))
        elif found and line and not line.startswith("# "):
            found[-1][1].append(line)
    return found


def differences(expected, got):
    for (command, docker), (other, ours) in zip(expected, got):
        if command != other:
            sys.exit(f"another command: {command!r} and {other!r}; record docker's answers again")
        if docker == ours:
            continue
        changed = [line for line in difflib.ndiff(docker, ours) if line[0] in "-+"]
        yield "\n".join([command] + [f"{line[0]} {line[2:]}" for line in changed])


def main():
    expected, got = commands(sys.argv[1]), commands(sys.argv[2])
    if len(expected) != len(got):
        sys.exit(f"{len(expected)} commands were recorded and {len(got)} run; record docker's answers again")
    found = list(differences(expected, got))
    if len(sys.argv) < 4:
        print("\n\n".join(found))
        return
    text = open(sys.argv[3], encoding="utf-8").read()
    blocks = ["\n".join(line for line in block.split("\n") if not line.startswith("#")).strip("\n") for block in text.split("\n\n")]
    listed = [block for block in blocks if block]
    for block in found:
        if block not in listed:
            print("not as docker:\n" + block)
    for block in listed:
        if block not in found:
            print("listed, but no longer so:\n" + block)
    sys.exit(sorted(found) != sorted(listed))


main()
