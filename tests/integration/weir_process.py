"""One running `weir`: started on a port of the kernel's choice, watched through /proc, always ended."""

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import threading
from pathlib import Path

from deadline import PATIENCE, Deadline, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("WEIR_BIN", REPOSITORY / "build" / "release" / "src" / "cli" / "weir"))

# For who may not write everywhere, such as another user: a build that counts lines writes them down at its end, and says
# on stderr where it cannot.
WITHOUT_COUNTS = {**os.environ, "LLVM_PROFILE_FILE": "/dev/null"}

SUMMARY = re.compile(
    r"^weir: (?P<sessions>\d+) sessions? \(peak (?P<peak>\d+)\), (?P<up>\S+ \S+) upstream, (?P<down>\S+ \S+) downstream"
    r"(?P<connect>, connect p50 \S+ p99 \S+)?.*$", re.MULTILINE)
LISTENING = re.compile(r"^weir: listening on (?P<where>.+?), upstream (?P<upstream>.+)$")


def is_sanitized():
    """True for a binary with AddressSanitizer or ThreadSanitizer in it: its memory and CPU say nothing."""
    data = BINARY.read_bytes()
    return b"__asan_init" in data or b"__tsan_init" in data


def run_weir(*arguments, seconds=10.0, **options):
    """Runs weir to its end, for command lines that do not serve. Returns the CompletedProcess (text)."""
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True,
                          timeout=seconds * PATIENCE, stdin=subprocess.DEVNULL, check=False, **options)


class Weir:
    """`weir tap OPTIONS LISTEN UPSTREAM`, in front of `upstream`.

    view        None: weir's own default; else the value of --show
    listen      LISTEN; port 0 by default
    output      "file" (-o FILE), "stdout" (collected in a file), or a descriptor to use as stdout
    descriptors the process's RLIMIT_NOFILE as (soft, hard); default: soft 1024 as in a shell
    enter       words put before the command, such as nsenter's
    """

    def __init__(self, upstream, *options, folder, view="json", listen="127.0.0.1:0", output="file",
                 descriptors=None, enter=(), environment=None, user=None, wait=True):
        self.folder = Path(folder)
        self.output_path = self.folder / "view"
        self.stderr_path = self.folder / "stderr"
        self.listening_on = []
        self.returncode = None
        self.killed_by_the_test = None
        arguments = ["tap"]
        if view is not None:
            arguments += ["--show", view]
        stdout = subprocess.DEVNULL
        if output == "file":
            arguments += ["-o", self.output_path]
        elif output == "stdout":
            stdout = open(self.output_path, "wb")
        else:
            stdout = output
        read_end, write_end = os.pipe()
        arguments += ["--ready-fd", write_end, *options, listen, upstream]
        self.command = [*enter, BINARY, *arguments]

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        limits = descriptors or (min(1024, hard), hard)

        stderr = open(self.stderr_path, "wb")
        try:
            self.process = subprocess.Popen(
                [str(word) for word in self.command], stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                pass_fds=[write_end], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits),
                env=None if environment is None else {**os.environ, **environment}, user=user)
        finally:
            os.close(write_end)
            stderr.close()
            if output == "stdout":
                stdout.close()
        self._ready = _LineCollector(read_end)
        if wait:
            self.wait_until_listening()

    # -- starting ----------------------------------------------------------------------------------

    def wait_until_listening(self):
        """Waits for the first line of --ready-fd; learns the port(s) from it."""
        def ready():
            if not self._ready.lines and self.process.poll() is not None:
                raise RuntimeError(f"weir ended with {self.process.returncode}: {self.stderr()}")
            return self._ready.lines
        lines = wait_until(ready, "weir says that it listens", 20.0)
        for line in list(lines):
            match = LISTENING.match(line)
            assert match, f"not a readiness line: {line!r}"
            self.listening_on.append(match["where"])
        return self

    @property
    def ready_lines(self):
        return list(self._ready.lines)

    @property
    def port(self):
        return int(self.listening_on[0].rpartition(":")[2])

    @property
    def address(self):
        """Where a client connects to, as socket.connect wants it."""
        where = self.listening_on[0]
        if where.startswith("unix:"):
            return where[len("unix:"):]
        host, _, port = where.rpartition(":")
        host = host.strip("[]")
        return ({"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port))

    # -- what it said ------------------------------------------------------------------------------

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def output(self):
        return self.output_path.read_bytes() if self.output_path.exists() else b""

    def lines(self):
        """The view so far as text, complete lines only: a write may end in the middle of a character."""
        text = self.output()
        return text[:text.rfind(b"\n") + 1].decode()

    def events(self):
        """The JSON view so far, complete lines only."""
        text = self.output()
        return [json.loads(line) for line in text[:text.rfind(b"\n") + 1].splitlines()]

    def summary(self):
        """What it said of itself at its end."""
        found = SUMMARY.search(self.stderr())
        assert found, f"no summary at the end: {self.stderr()!r}"
        return found

    # -- what it costs -----------------------------------------------------------------------------

    def cpu_seconds(self):
        """On-CPU time of all threads so far."""
        total = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def open_files(self):
        """What the descriptors are, for a message."""
        names = []
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                names.append(f"{entry.name}={os.readlink(entry)}")
        return " ".join(sorted(names))

    def sockets(self):
        count = 0
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                count += os.readlink(entry).startswith("socket:")
            except FileNotFoundError:
                pass  # closed while we looked
        return count

    def wait_until_at_rest(self):
        """Waits until every thread sleeps: whatever weir does at its start is done."""
        def at_rest():
            states = [(task / "stat").read_text().rpartition(")")[2].split()[0]
                      for task in Path(f"/proc/{self.process.pid}/task").iterdir()]
            return set(states) == {"S"}
        wait_until(at_rest, "weir has nothing to do")

    def leave_descriptors(self, free):
        """Lowers the limit of the running process so that exactly `free` more can be opened: a new
        descriptor takes the lowest free number, which must be below the limit."""
        used = {int(name) for name in os.listdir(f"/proc/{self.process.pid}/fd")}
        limit = 0
        while free > 0:
            free -= limit not in used
            limit += 1
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (limit, limit))

    def resident_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("weir has no memory: it has ended")

    # -- ending ------------------------------------------------------------------------------------

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=20.0):
        """Waits for the process to end by itself. Returns its exit code, -N for a signal."""
        deadline = Deadline(seconds)
        try:
            self.returncode = self.process.wait(deadline.left())
        except subprocess.TimeoutExpired:
            raise AssertionError(f"weir does not end within {deadline.seconds:g} s; it said: {self.stderr()}") from None
        self._ready.close()
        return self.returncode

    def stop(self):
        """SIGINT, a second one if sessions hold it up. Returns the exit code."""
        if self.running():
            self.signal(signal.SIGINT)
            try:
                self.process.wait(Deadline(1.0).left())
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGINT)
        return self.wait()

    def kill(self):
        """However it stands: no process is left behind."""
        if self.running():
            self.process.kill()
        self.process.wait()
        self._ready.close()


class _LineCollector(threading.Thread):
    """Reads a descriptor to its end in a thread; `lines` has the complete lines so far."""

    def __init__(self, descriptor):
        super().__init__(daemon=True)
        self.lines = []
        self._file = os.fdopen(descriptor, "r")
        self.start()

    def run(self):
        for line in self._file:
            if line.endswith("\n"):
                self.lines.append(line[:-1])

    def close(self):
        self.join(5.0)
        if not self.is_alive():
            self._file.close()


def one_sentence(stderr, *mentioned):
    """Exactly one line, from weir, that names what is wrong. Returns it."""
    lines = stderr.splitlines()
    assert len(lines) == 1, f"one sentence was expected: {stderr!r}"
    assert lines[0].startswith("weir: ")
    for word in mentioned:
        assert word in lines[0], f"{word!r} is not named in {lines[0]!r}"
    return lines[0]
