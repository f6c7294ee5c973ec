"""A person at a terminal, played: runs ctr under a pseudo-terminal, types, and looks at the screen and at the terminal's
mode. Used by terminal_modes.sh; usage: terminal_session.py CTR. Needs the image busybox in the store."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

CTR = sys.argv[1]
COOKED = termios.ICANON | termios.ECHO | termios.ISIG
PATIENCE = 60


def fail(words):
    print("FAIL:", words, file=sys.stderr, flush=True)
    sys.exit(1)


def check(condition, words):
    if not condition:
        fail(words)


class Session:
    def __init__(self, *arguments):
        self.screen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(CTR, [CTR, *arguments])
        self.resize(33, 99)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.fd, keys)

    def read(self, timeout):
        if not select.select([self.fd], [], [], timeout)[0]:
            return False
        try:
            self.screen += os.read(self.fd, 65536)
        except OSError:
            return False
        return True

    def expect(self, text):
        end = time.time() + PATIENCE
        while text not in self.screen:
            if time.time() > end:
                fail(f"waited for {text!r}, the screen shows {self.screen!r}")
            self.read(0.1)
        self.screen = self.screen[self.screen.index(text) + len(text):]

    def command(self, line, answer):
        """Types a line; the answer must not be part of what is typed, because that is echoed."""
        self.type(line + b"\r")
        self.expect(answer)
        self.expect(b"# ")

    def status(self):
        end = time.time() + PATIENCE
        while time.time() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            self.read(0.05)
        fail(f"it does not end, the screen shows {self.screen!r}")

    def is_cooked(self):
        return termios.tcgetattr(self.fd)[3] & COOKED == COOKED

    def is_raw(self):
        return termios.tcgetattr(self.fd)[3] & COOKED == 0


def eventually(condition, words):
    end = time.time() + PATIENCE
    while not condition():
        if time.time() > end:
            fail(words)
        time.sleep(0.02)


def ctr(*arguments):
    return subprocess.run([CTR, *arguments], capture_output=True, text=True).stdout.strip()


def shell_in_a_terminal():
    session = Session("run", "-it", "--name", "t1", "--network", "none", "busybox", "sh")
    session.expect(b"# ")
    check(session.is_raw(), "the terminal is not raw")
    eventually(lambda: b"33 99" in (session.type(b"stty size\r"), time.sleep(0.3), session.read(0.1), session.screen)[-1],
               "the container's terminal does not get our size")
    session.resize(44, 111)
    eventually(lambda: b"44 111" in (session.type(b"stty size\r"), time.sleep(0.3), session.read(0.1), session.screen)[-1],
               "the container's terminal does not follow our size")
    session.command(b"echo d$((1+1))ne", b"d2ne")
    # Ctrl-C interrupts the program inside and leaves the shell and its container alone.
    # The program says itself that it runs: before it does, the shell's own group would get the key.
    session.type(b"sh -c 'echo wai$((1+1))t; exec sleep 1000'\r")
    session.expect(b"wai2t")
    session.type(b"\x03")
    session.expect(b"# ")
    session.command(b"echo x > /tmp/test.txt; echo s$((1+1))ved", b"s2ved")
    session.type(b"\x10\x11")
    check(session.status() == 0, "detaching is no success")
    check(session.is_cooked(), "the terminal stays raw after detaching")
    check(ctr("inspect", "-f", "{{.State.Running}}", "t1") == "true", "the container ended when we detached")


def attach_again():
    session = Session("attach", "t1")
    session.command(b"ls /tmp; echo e$((1+1))d", b"e2d")
    session.type(b"exit 5\r")
    check(session.status() == 5, "attach does not return the status")
    check(session.is_cooked(), "the terminal stays raw after the end")
    session = Session("start", "-ia", "t1")
    session.expect(b"# ")
    session.command(b"cat /tmp/test.txt; echo e$((1+1))d", b"x\r\ne2d")
    session.command(b"(exit 3)", b"\r\n")
    session.type(b"\x04")
    check(session.status() == 3, "Ctrl-D does not end the shell with its last status")


def killed_client():
    session = Session("run", "-it", "--rm", "--name", "t2", "--network", "none", "busybox", "sh")
    session.expect(b"# ")
    check(session.is_raw(), "the terminal is not raw")
    os.kill(session.pid, signal.SIGKILL)
    os.waitpid(session.pid, 0)
    eventually(session.is_cooked, "the terminal stays raw when ctr is killed")
    check(ctr("inspect", "-f", "{{.State.Running}}", "t2") == "true", "the container died with ctr")
    session = Session("exec", "-it", "t2", "sh")
    session.expect(b"# ")
    session.type(b"tty; exit 9\r")
    session.expect(b"/dev/pts/")
    check(session.status() == 9, "exec does not return the status")
    os.kill(Session("attach", "t2").pid, signal.SIGTERM)
    ctr("rm", "-f", "t1", "t2")


def interrupted_init():
    session = Session("run", "--init", "--rm", "--network", "none", "busybox", "sh", "-c", "echo ready; exec sleep 1000")
    session.expect(b"ready")
    session.type(b"\x03")
    check(session.status() == 130, "one Ctrl-C does not end a container with --init")


shell_in_a_terminal()
attach_again()
killed_client()
interrupted_init()
