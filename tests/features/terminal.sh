#!/usr/bin/env bash
# Through a pseudo-terminal: Ctrl-C reaches the program inside, Ctrl-D ends the shell, Ctrl-P Ctrl-Q detaches, start -ia
# finds the files again, the size arrives, and --init ends at one Ctrl-C.
. "$(dirname "$0")/lib.bash"
need_containers
need_program python3
busybox_image

cat >"$work/terminal.py" <<'P'
import fcntl, os, pty, re, select, struct, sys, termios, time

class Terminal:
    """A program on a terminal of 40 x 100; text is matched as it comes."""
    def __init__(self, *argv):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
            os.execv(argv[0], argv)
        self.seen = ""

    def read_until(self, pattern, seconds=10):
        end = time.time() + seconds
        while not re.search(pattern, self.seen):
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.time()))
            if not ready:
                sys.exit(f"no {pattern!r} in {self.seen!r}")
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                data = b""
            if not data:
                sys.exit(f"the end came before {pattern!r}: {self.seen!r}")
            self.seen += data.decode(errors="replace")
        self.seen = self.seen[re.search(pattern, self.seen).end():]

    def send(self, text):
        os.write(self.fd, text.encode())

    def end(self, seconds=10):
        end = time.time() + seconds
        while time.time() < end:
            ready, _, _ = select.select([self.fd], [], [], 0.05)
            if ready:
                try:
                    data = os.read(self.fd, 4096)
                    self.seen += data.decode(errors="replace")
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        sys.exit(f"it did not end: {self.seen!r}")

ctr = sys.argv[1]

t = Terminal(ctr, "run", "-it", "--name", "shell", "busybox", "sh")
t.read_until("# ")
t.send("hostname; stty size\n")
t.read_until("[0-9a-f]{12}\r\n40 100")
t.send("echo kept > /test.txt\n")
t.read_until("# ")
t.send("sleep 100\n")
t.read_until("sleep 100")
time.sleep(0.3)
t.send("\x03")
t.read_until("# ")
t.send("echo alive\n")
t.read_until("\r\nalive")
# The shell reads keys between prompts only; an end of file typed earlier is lost.
t.read_until("# ")
t.send("(exit 7)\n")
t.read_until("# ")
t.send("\x04")
assert t.end() == 7, "status of the shell"

t = Terminal(ctr, "start", "-ia", "shell")
t.send("cat /test.txt\n")
t.read_until("\r\nkept")
t.send("\x10\x11")
assert t.end() == 0, "detached"

t = Terminal(ctr, "attach", "shell")
t.send("echo back\n")
t.read_until("\r\nback")
t.send("exit 3\n")
assert t.end() == 3

t = Terminal(ctr, "run", "--init", "--name", "app", "busybox", "sh", "-c", "echo ready; sleep 1000")
t.read_until("ready")
start = time.time()
t.send("\x03")
t.end()
assert time.time() - start < 5, "one Ctrl-C must end it"

t = Terminal(ctr, "exec", "-it", "none", "sh")
assert t.end() == 1
P
python3 "$work/terminal.py" "$CTR"
has "$(ctr ps -a --filter name=app --format '{{.Status}}')" "Exited (130)"
status_is 1 bash -c "'$CTR' run -it busybox true </dev/null"
has "$(cat "$work/err")" "not a TTY"
