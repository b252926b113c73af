"""Requests to the API: http.client, kept connections, explicit timeouts.

urllib is not used, as it obeys http_proxy and the like: a classic trap of CI machines.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import threading
import time
import weakref
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import quote, urlsplit

from ._errors import NoAnswerInTime, Unreachable, WeirError, api_error


@dataclass(frozen=True)
class Endpoint:
    """Where an API listens: a TCP port, or a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """From http://host:port, host:port or unix:/path."""
        if url.startswith("unix:"):
            return cls(path=url[len("unix:"):])
        parts = urlsplit(url if "://" in url else "http://" + url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme != "http" or port == -1 or not parts.hostname or parts.path not in ("", "/"):
            raise WeirError(f"{url!r} is not an address of weir's API: write http://host:port or unix:/path")
        return cls(host=parts.hostname, port=8474 if port is None else port)

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"http://{self.authority}"

    @property
    def authority(self) -> str:
        """What requests name as their Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.host else "localhost"

    def connect(self, timeout: float) -> socket.socket:
        if not self.path:
            return socket.create_connection((self.host, self.port), timeout)
        unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            unix.settimeout(timeout)
            unix.connect(self.path.replace("@", "\0", 1) if self.path.startswith("@") else self.path)
        except BaseException:
            unix.close()
            raise
        return unix


class _Connection(http.client.HTTPConnection):
    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        super().__init__(endpoint.host or "localhost", endpoint.port or None, timeout=timeout)
        self._endpoint = endpoint
        self._timeout = timeout
        self.idle_since = 0.0

    def connect(self) -> None:
        self.sock = self._endpoint.connect(self._timeout)
        if self.sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def usable_again(self) -> bool:
        """False: the server has closed it, or is about to. So no request is ever sent twice."""
        if self.sock is None or time.monotonic() - self.idle_since > Api.KEEP_SECONDS:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)  # readable now can only mean its end


def part(text: str) -> str:
    """A name as one part of a path."""
    return quote(text, safe="")


class Api:
    """One server's API. Any thread; each request has a connection to itself."""

    KEEP_SECONDS = 30.0  # the server ends idle connections after 60
    KEEP_IDLE = 8

    def __init__(self, endpoint: Endpoint, token: Optional[str], timeout: float) -> None:
        self.endpoint = endpoint
        self.timeout = timeout
        self._token = token
        self._idle: List[_Connection] = []
        self._lock = threading.Lock()
        self._keeping = True
        _everyone.add(self)

    def headers(self, extra: Optional[Mapping[str, str]] = None) -> Dict[str, str]:
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        headers.update(extra or {})
        return headers

    def ask(self, method: str, path: str, body: Any = None, headers: Optional[Mapping[str, str]] = None) -> Any:
        """The JSON of a 2xx answer (None without a body). Raises ApiError, Unreachable, NoAnswerInTime."""
        status, data = self._exchange(method, path, body, self.headers(headers))
        try:
            parsed = json.loads(data) if data else None
        except ValueError:
            parsed = data.decode(errors="replace")
        if not 200 <= status < 300:
            raise api_error(status, parsed, f"{method} {path}")
        return parsed

    def close(self) -> None:
        """Keeps no connection from now on; one can still ask."""
        self._keeping = False
        self._drop_idle()

    def _drop_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(self, method: str, path: str, body: Any, headers: Dict[str, str]) -> Tuple[int, bytes]:
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        connection = self._take()
        try:
            with translated(self, f"{method} {path}"):
                connection.request(method, path, body=data, headers=headers)
                response = connection.getresponse()
                status, answer = response.status, response.read()
        except BaseException:
            connection.close()  # whatever it still brings belongs to no later request
            raise
        self._give_back(connection)
        return status, answer

    def _take(self) -> _Connection:
        while True:
            with self._lock:
                if not self._idle:
                    return _Connection(self.endpoint, self.timeout)
                connection = self._idle.pop()
            if connection.usable_again():
                return connection
            connection.close()

    def _give_back(self, connection: _Connection) -> None:
        connection.idle_since = time.monotonic()
        with self._lock:
            if self._keeping and connection.sock is not None and len(self._idle) < self.KEEP_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def __del__(self) -> None:
        for connection in self._idle:
            connection.close()

    def after_fork_in_child(self) -> None:
        """The parent's connections are the parent's: closing our copies does not end them."""
        self._lock = threading.Lock()  # another thread of the parent may have held it
        self._drop_idle()


@contextlib.contextmanager
def translated(api: Api, asked: str) -> Iterator[None]:
    """The network's exceptions as ours; `asked` is the request's method and path."""
    try:
        yield
    except socket.timeout as problem:
        raise NoAnswerInTime(f"{api.endpoint} did not answer within {api.timeout:g} s ({asked})") from problem
    except (OSError, http.client.HTTPException) as problem:
        reason = str(problem) or type(problem).__name__
        raise Unreachable(f"{api.endpoint} cannot be asked: {reason} ({asked})") from problem


_everyone: weakref.WeakSet[Any] = weakref.WeakSet()


def forget_in_child(holder: Any) -> None:
    """Has `holder.after_fork_in_child()` called in every process forked from this one."""
    _everyone.add(holder)


def _after_fork_in_child() -> None:
    for each in list(_everyone):
        act: Callable[[], None] = each.after_fork_in_child
        act()


os.register_at_fork(after_in_child=_after_fork_in_child)
