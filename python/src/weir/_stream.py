"""A request whose answer has no end: a lease, or server-sent events."""

from __future__ import annotations

import http.client
import io
import json
import socket
import time
from typing import Iterator, List, Mapping, Optional, Tuple

from ._errors import Unreachable, WeirError, api_error
from ._http import Api, forget_in_child, translated

_MOST_HEAD = 64 * 1024


class Stream:
    """An open answer. One thread reads; any thread may interrupt() or close()."""

    def __init__(self, api: Api, method: str, path: str, headers: Optional[Mapping[str, str]] = None) -> None:
        self._api = api
        self._asked = f"{method} {path}"
        self._rest = b""
        self.ended = False
        lines = [f"{method} {path} HTTP/1.1", f"Host: {api.endpoint.authority}"]
        lines += [f"{name}: {value}" for name, value in api.headers(headers).items()]
        if method == "POST":
            lines.append("Content-Length: 0")
        with translated(api, self._asked):
            self._socket = api.endpoint.connect(api.timeout)
        forget_in_child(self)
        try:
            with translated(api, self._asked):
                self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
                self.headers = self._read_head()
            self._socket.settimeout(None)
        except BaseException:
            self.close()
            raise

    def _read_head(self) -> http.client.HTTPMessage:
        deadline = time.monotonic() + self._api.timeout
        while b"\r\n\r\n" not in self._rest:
            data = self.receive(deadline)
            if data is None:
                raise socket.timeout
            if not data or len(self._rest) > _MOST_HEAD:
                raise Unreachable(f"{self._api.endpoint} went away before it answered ({self._asked})")
            self._rest += data
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        status_line, _, fields = head.partition(b"\r\n")
        headers = http.client.parse_headers(io.BytesIO(fields + b"\r\n\r\n"))
        try:
            status = int(status_line.split()[1])
        except (IndexError, ValueError):
            raise WeirError(f"{self._api.endpoint} does not speak HTTP: {status_line[:80]!r}") from None
        if not 200 <= status < 300:
            raise api_error(status, self._read_refusal(headers, deadline), self._asked)
        if headers.get("Transfer-Encoding"):
            raise WeirError(f"something between us and {self._api.endpoint} changes its answers ({self._asked})")
        return headers

    def _read_refusal(self, headers: http.client.HTTPMessage, deadline: float) -> object:
        length = int(headers.get("Content-Length") or 0)
        while len(self._rest) < length:
            data = self.receive(deadline)
            if not data:
                break
            self._rest += data
        try:
            return json.loads(self._rest)
        except ValueError:
            return None

    def receive(self, deadline: Optional[float]) -> Optional[bytes]:
        """What comes next; b"" at the end; None when the deadline (monotonic; None: none) passes first."""
        try:
            if deadline is None:
                self._socket.settimeout(None)
            else:
                # 0 would mean "do not wait at all", whose outcome is another exception.
                self._socket.settimeout(max(deadline - time.monotonic(), 0.000001))
            data = self._socket.recv(65536)
        except (socket.timeout, BlockingIOError):
            return None
        except OSError:  # reset, or closed by another thread
            data = b""
        if not data:
            self.ended = True
        return data

    def has_ended(self) -> bool:
        """Takes what has come, without waiting. Only for streams that nobody else reads."""
        while not self.ended:
            try:
                self.ended = not self._socket.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            except OSError:
                self.ended = True
        return True

    def lines(self, deadline: Optional[float]) -> Iterator[str]:
        """Lines without their ends; stops at the end of the answer, or when the deadline passes."""
        while True:
            complete, self._rest = _split_lines(self._rest)
            for line in complete:
                yield line
            data = self.receive(deadline)
            if not data:
                return
            self._rest += data

    def interrupt(self) -> None:
        """The reading thread gets the end of the answer."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        self._socket.close()

    def __del__(self) -> None:
        if hasattr(self, "_socket"):
            self._socket.close()

    def after_fork_in_child(self) -> None:
        self._socket.close()  # our copy of the descriptor; the connection stays the parent's


def _split_lines(data: bytes) -> Tuple[List[str], bytes]:
    *complete, rest = data.split(b"\n")
    return [line.rstrip(b"\r").decode(errors="replace") for line in complete], rest
