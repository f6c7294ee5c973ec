"""Replaces what differs between two runs of the same commands: ids, digests, times, who says so; and leaves out the lines
that point to --help, which each program words in its own way."""
import re
import sys

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
NOT_YET = "0001-01-01"  # Docker's "never"


def shown_errors(line):
    """Without the words that say which program speaks. Nothing for a line that points to --help."""
    if not line.startswith("!"):
        return line
    line = re.sub(r"^! (?:[^ ]*/)?(docker|ctr): ", "! ", line)
    line = line.replace("Error response from daemon: ", "").replace("Error: ", "")
    line = re.sub(r"(['\"])(?:ctr|docker) ", r"\1docker ", line)
    return None if re.match(r"! ((See|Run) .*--help|Usage: )|!$", line) else line


def main():
    text = sys.stdin.buffer.read().decode(errors="replace").replace("\r\n", "\n")
    names = {}
    text = re.sub(r"sha256:[0-9a-f]{64}", "<digest>", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", lambda match: names.setdefault(match.group(), f"<id{len(names) + 1}>"), text)
    for identifier, name in names.items():
        text = text.replace(identifier[:12], name.replace("id", "short"))
    text = TIME.sub(lambda match: match.group() if match.group().startswith(NOT_YET) else "<time>", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} UTC", "<time>", text)
    text = re.sub(r"(Less than a second|\d+ seconds?|About a minute|\d+ minutes?)( ago)?", r"<while>\2", text)
    text = re.sub(r" {2,}", "  ", text)
    text = re.sub(r"[ \t]+$", "", text, flags=re.M)
    lines = [shown_errors(line) for line in text.split("\n")]
    sys.stdout.write("\n".join(line for line in lines if line is not None))


main()
