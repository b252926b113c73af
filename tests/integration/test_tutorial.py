"""docs/tutorial.md does what it says: its commands run in order, and print what the page shows.

How the page is read:
  ```console NAME      a terminal called NAME: a bash on a terminal of its own, kept from block to block
    $ command          is typed once the command before it has ended
    ^C                 is typed too
    ...                any lines
    another line       comes next in that terminal; where a command has ended, the page must have shown all it printed
  ```LANGUAGE NAME     a file NAME in the folder of the terminals
  other blocks         are not run

What may differ from the page: times of day, dates, durations, numbers of bytes, seeds, process ids, curl's version and the
ports of clients. A duration of 50 ms or more must not be much shorter than the page says, because the page is about it.
The ports of the page are replaced by free ones. `weir serve` listens on the default one, so the `weir` of these terminals is a
script that adds --api, and WEIR_URL says the same to the commands.
"""

import fcntl
import os
import pty
import re
import shlex
import shutil
import signal
import socket
import subprocess
import termios
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from deadline import wait_until
from weir_process import BINARY, REPOSITORY

PAGE = REPOSITORY / "docs" / "tutorial.md"
PORTS = ("8000", "8888", "8474")
PROMPT = "ready>"

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, " seconds": 1.0}
DURATION = r"\d+(?:\.\d+)?(?:ns|us|ms|s|m|h| seconds)\b"
# What may differ, and the pattern that stands for it.
LOOSE = [
    (r"\d\d:\d\d:\d\d\.\d{6}", r"\d\d:\d\d:\d\d\.\d{6}"),
    (r"\d\d:\d\d:\d\d\.\d{3}Z", r"\d\d:\d\d:\d\d\.\d{3}Z"),
    (r"\d{4}-\d\d-\d\d", r"\d{4}-\d\d-\d\d"),
    (rf'(?<![="\w.]){DURATION}', f"({DURATION})"),
    (r"\d+ B/s", r"[\d.]+ \w*B/s"),
    (r"\d+ (?:bytes|B|of them cut|undelivered)\b", None),
    (r"--seed \d+", r"--seed \d+"),
    (r"^\[1\] \d+", r"\[1\] \d+"),
    (r"curl/[\d.]+", r"curl/[\d.]+"),
    (r"127\.0\.0\.1:\d{5}", r"127\.0\.0\.1:\d+"),
    (r"\s+", r"\s+"),
]


def steps(page):
    """(kind, name, text) in order; kind is file, command, key or line."""
    for language, name, text in re.findall(r"^```(\w+) ([\w.]+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        if language != "console":
            yield "file", name, text
            continue
        for line in text.splitlines():
            if line.startswith("$ "):
                yield "command", name, line[2:]
            else:
                yield "key" if line == "^C" else "line", name, line


def differs(shown, said):
    """Why `said` is not what the page shows, or None."""
    pattern, durations, at = "", [], 0
    for found in re.finditer("|".join(f"({each})" for each, _ in LOOSE), shown):
        place = found.lastindex - 1
        loose = LOOSE[place][1] or r"\d+ " + found[0].partition(" ")[2]
        durations += [found[0]] if loose == f"({DURATION})" else []
        pattern += re.escape(shown[at:found.start()]) + loose
        at = found.end()
    match = re.fullmatch(pattern + re.escape(shown[at:]), said)
    if not match:
        return "other words"
    for expected, measured in zip(durations, match.groups()):
        if seconds(expected) >= 0.05 and seconds(measured) < 0.8 * seconds(expected):
            return f"{measured} is much less than {expected}"
    return None


def seconds(text):
    number = re.match(r"[\d.]+", text)[0]
    return float(number) * UNITS[text[len(number):]]


class Terminal:
    """A bash on a pseudo-terminal, with what it printed as lines."""

    def __init__(self, folder, environment):
        self._master, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "--noediting", "-i"], cwd=folder, env={**environment, "PS1": f"{PROMPT}\n"},
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self._text = ""
        self._at = 0  # the next line that the page has to show
        self._prompts = 0  # how many of its prompts we have answered
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        pending = b""
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the last process on this terminal has ended
                return
            pending += data
            whole = pending.rfind(b"\n") + 1
            self._text += pending[:whole].decode(errors="replace").replace("\r", "")
            pending = pending[whole:]

    def lines(self):
        return [line for line in self._text.splitlines() if line.strip() and line != PROMPT]

    def type(self, command):
        wait_until(lambda: self._text.splitlines().count(PROMPT) > self._prompts, f"bash is ready for {command!r}", 20.0)
        self._prompts += 1
        os.write(self._master, f"{command}\n".encode())

    def wait_for_prompt(self):
        wait_until(lambda: self._text.splitlines().count(PROMPT) > self._prompts, "the command has ended", 20.0)

    def interrupt(self):
        os.write(self._master, b"\x03")

    def expect(self, shown, after_a_gap):
        """The next line, or one that comes later if the page has a gap here, is as shown."""
        def found():
            for place, said in enumerate(self.lines()[self._at:], self._at):
                if differs(shown, said) is None:
                    self._at = place + 1
                    return "as shown"
                if not after_a_gap:
                    return "another line"
            return None
        why = f"the page shows\n  {shown}\n"
        try:
            if wait_until(found, "the line is there", 20.0) == "as shown":
                return
        except AssertionError as error:
            why += f"{error}\n"
        since = [f"{said}  ({differs(shown, said)})" for said in self.lines()[self._at:]]
        raise AssertionError(why + "after the last line that fitted came\n  " + "\n  ".join(since or ["nothing"]))

    def expect_no_more(self):
        assert not self.lines()[self._at:], f"the page does not show {self.lines()[self._at:]}"

    def skip(self):
        self._at = len(self.lines())

    def close(self):
        """Ends bash and all that it runs. A hang-up would not do: `weir serve` reads its file again then."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                if int(stat.read_text().rpartition(")")[2].split()[3]) == self.process.pid:  # the session
                    os.kill(int(stat.parent.name), signal.SIGKILL)
        self.process.wait()
        self._reader.join(5.0)
        os.close(self._master)


class Reader:
    """Who follows the page."""

    def __init__(self, folder, environment, stack):
        self.folder, self.environment, self.stack = folder, environment, stack
        self.terminals = {}
        self.gaps = {}  # by terminal: the page has skipped lines since the last one it showed

    def follow(self, kind, name, text):
        if kind == "file":
            (self.folder / name).write_text(text)
            return
        if name not in self.terminals:
            self.terminals[name] = Terminal(self.folder, self.environment)
            self.stack.callback(self.terminals[name].close)
            self.gaps[name] = False
        terminal = self.terminals[name]
        if kind == "command":
            if terminal._prompts:
                terminal.wait_for_prompt()
            self._nothing_was_hidden(name)
            terminal.type(text)
        elif kind == "key":
            self._nothing_was_hidden(name)
            terminal.interrupt()
        elif text == "...":
            self.gaps[name] = True
        else:
            terminal.expect(text, self.gaps[name])
            self.gaps[name] = False

    def _nothing_was_hidden(self, name):
        if self.gaps[name]:
            self.terminals[name].skip()
        self.terminals[name].expect_no_more()
        self.gaps[name] = False


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [str(each.getsockname()[1]) for each in sockets]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl: the tutorial's client")
def test_the_tutorial_from_the_first_command_to_the_last(weir_binary, tmp_path):
    page = PAGE.read_text()
    ports = dict(zip(PORTS, free_ports(len(PORTS))))
    for port in PORTS:
        assert port in page, f"the tutorial has no port {port} any more"
    page = re.sub("|".join(rf"\b{port}\b" for port in PORTS), lambda found: ports[found[0]], page)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "weir").write_text(f"""#!/bin/sh
if [ "$1" = serve ]; then
  shift
  exec {shlex.quote(str(BINARY.resolve()))} serve --api 127.0.0.1:{ports["8474"]} "$@"
fi
exec {shlex.quote(str(BINARY.resolve()))} "$@"
""")
    (programs / "weir").chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "TZ": "UTC", "NO_COLOR": "1",
                   "TERM": "dumb", "WEIR_URL": f"http://localhost:{ports['8474']}"}
    environment.pop("WEIR_TOKEN", None)
    with ExitStack() as stack:
        reader = Reader(tmp_path, environment, stack)
        count = 0
        for kind, name, text in steps(page):
            reader.follow(kind, name, text)
            count += kind == "command"
        for name, terminal in reader.terminals.items():
            if name != "server":
                terminal.wait_for_prompt()
        assert count > 20


@pytest.mark.parametrize("shown, said", [
    ("weir: listening on 127.0.0.1:8888", "weir: listens on 127.0.0.1:8888"),
    ("closed by server.fin", "closed by client.fin"),
    ("lasted 502ms, 2 chunks", "lasted 2.3ms, 2 chunks"),
    ("latency=500ms", "latency=600ms"),
    ("1 chunk", "2 chunk"),
])
def test_another_line_than_the_page_shows_is_seen(shown, said):
    assert differs(shown, shown) is None
    assert differs(shown, said)


def test_what_no_two_runs_share_may_differ():
    assert differs("08:17:19.399304   +863us #1 ← 26 bytes", "23:00:00.000001 +1.2ms #1 ← 3 bytes") is None
    assert differs("connected in 459us, client 127.0.0.1:36178", "connected in 1.00s, client 127.0.0.1:9") is None
