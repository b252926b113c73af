"""A private `weir serve`: a child of this process that ends with it."""

from __future__ import annotations

import logging
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from typing import IO, List, Optional, Sequence

from ._client import Client
from ._errors import BinaryNotFound, StartError
from ._http import Endpoint, forget_in_child

log = logging.getLogger("weir")

_MOST_LOG = 4096


def find_binary(given: Optional[str] = None) -> str:
    """The `weir` to run: as given, else what WEIR_BIN names, else the one on PATH."""
    named = given or os.environ.get("WEIR_BIN")
    if named:
        if os.path.isfile(named) and os.access(named, os.X_OK):
            return named
        raise BinaryNotFound(f"{'binary=' if given else 'WEIR_BIN='}{named} is not a program that can be run")
    found = shutil.which("weir")
    if found is None:
        raise BinaryNotFound("there is no weir to start: WEIR_BIN is not set, and no `weir` is on PATH; "
                             "install it, or set WEIR_BIN to where it was built")
    return found


class Server(Client):
    """Starts `weir serve` on a free port and stops it. It ends with this process, whatever ends that.

    `seed` makes all faults draw the same again; `options` are more words for its command line, such as
    ["-c", "weir.toml"]; `api` is where its API listens; `token` what its API then asks for.
    """

    def __init__(self, *, binary: Optional[str] = None, seed: Optional[int] = None, options: Sequence[str] = (),
                 api: str = "127.0.0.1:0", token: Optional[str] = None, timeout: float = 10.0,
                 start_timeout: float = 30.0) -> None:
        self._binary = binary
        self._seed = seed
        self._options = list(options)
        self._listen = api
        self._start_timeout = start_timeout
        self._child: Optional[subprocess.Popen[bytes]] = None
        self._log: Optional[IO[bytes]] = None
        self._alive_fd = -1  # the server ends when every copy of it is closed
        super().__init__(None, token, timeout)

    def __str__(self) -> str:
        return f"weir serve at {self._endpoint}" if self._endpoint else "weir serve"

    @property
    def pid(self) -> int:
        if self._child is None:
            raise RuntimeError(f"{self} was not created: use `with`, or call create()")
        return self._child.pid

    @property
    def returncode(self) -> Optional[int]:
        """None while it runs; negative: the signal that ended it."""
        return None if self._child is None else self._child.poll()

    def log(self) -> str:
        """What it said on stderr so far; of a long log the end."""
        if self._log is None:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        start = max(0, size - _MOST_LOG)
        return os.pread(self._log.fileno(), _MOST_LOG, start).decode(errors="replace")

    def kill(self) -> None:
        """Ends it as a crash would, for tests of what happens then."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def _acquire(self) -> None:
        self._log = tempfile.TemporaryFile(prefix="weir-serve-")
        try:
            self._endpoint = self._start(find_binary(self._binary))
        except OSError as problem:
            raise StartError(f"weir serve could not be started: {problem}") from problem
        super()._acquire()

    def _start(self, binary: str) -> Endpoint:
        ready_read, ready_write = os.pipe()
        try:
            alive_read, self._alive_fd = os.pipe()
            forget_in_child(self)
            try:
                self._child = subprocess.Popen(
                    self._command(binary, ready_write, alive_read), stdin=subprocess.DEVNULL, stdout=self._log,
                    stderr=self._log, pass_fds=[ready_write, alive_read], env=self._environment(),
                    start_new_session=True)  # so that Ctrl-C at the terminal is ours alone, and ends it in order
            finally:
                os.close(alive_read)
        finally:
            os.close(ready_write)
            line = b""
            try:
                if self._child is not None:
                    line = self._read_ready_line(ready_read)
            finally:
                os.close(ready_read)
        return _endpoint_of(line.decode().rstrip("\n").partition(" the API on ")[2])

    def _command(self, binary: str, ready_fd: int, alive_fd: int) -> List[str]:
        command = [binary, "serve", "--api", self._listen, "--ready-fd", str(ready_fd),
                   "--exit-on-eof", str(alive_fd), "--drain", "0"]
        if self._seed is not None:
            command += ["--seed", str(self._seed)]
        return [*command, *map(str, self._options)]

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name != "WEIR_TOKEN"}
        if self._token:
            environment["WEIR_TOKEN"] = self._token
        return environment

    def _read_ready_line(self, descriptor: int) -> bytes:
        deadline = time.monotonic() + self._start_timeout
        line = b""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while not line.endswith(b"\n"):
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise StartError(f"weir serve was not ready within {self._start_timeout:g} s; {self._its_log()}")
            data = os.read(descriptor, 4096)
            if not data:
                code = self._child.wait() if self._child is not None else None
                raise StartError(f"weir serve ended with {code} before it was ready; {self._its_log()}")
            line += data
        return line

    def _its_log(self) -> str:
        said = self.log().strip()
        return f"it said:\n{said}" if said else "it said nothing"

    def _release(self) -> None:
        if self.returncode not in (None, 0):
            log.warning("weir serve ended by itself with %s; %s", self.returncode, self._its_log())
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.drop()  # what carries it goes with the server
        if self._api is not None:
            self._api.close()
        self._stop()

    def _stop(self) -> None:
        if self._alive_fd >= 0:
            alive_fd, self._alive_fd = self._alive_fd, -1
            os.close(alive_fd)
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(self._timeout)
            except subprocess.TimeoutExpired:
                log.warning("weir serve did not end within %g s and was killed; %s", self._timeout, self._its_log())
                self.kill()
            except BaseException:
                self.kill()
                raise
        if self._log is not None:
            self._log.close()
            self._log = None

    def after_fork_in_child(self) -> None:
        if self._alive_fd >= 0:
            os.close(self._alive_fd)
            self._alive_fd = -1

    def _another(self) -> Server:
        return Server(binary=self._binary, seed=self._seed, options=self._options, api=self._listen,
                      token=self._token, timeout=self._timeout, start_timeout=self._start_timeout)


def _endpoint_of(where: str) -> Endpoint:
    """From how the server says where it listens; one that listens everywhere is asked on loopback."""
    if where.startswith(":"):
        where = "127.0.0.1" + where
    return Endpoint.parse(where)
