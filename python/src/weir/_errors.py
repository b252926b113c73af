"""Everything that this package raises by itself is a WeirError."""

from __future__ import annotations

from typing import Any, Optional


class WeirError(Exception):
    """The root of the tree."""


class StartError(WeirError):
    """A private server did not come up; the text has the end of its log."""


class BinaryNotFound(StartError):
    """There is no `weir` to run."""


class Unreachable(WeirError):
    """Nobody answers at the API's address, or who did went away before the answer."""


class NoAnswerInTime(WeirError):
    """The server took a request and did not answer within the timeout."""


class Closed(WeirError):
    """The object was closed; it is for one use."""


class LeaseLost(WeirError):
    """The server has taken back what this client held: the lease's connection was cut."""


class WaitTimeout(WeirError, TimeoutError):
    """What was waited for did not happen in time."""


class ApiError(WeirError):
    """The server refused; the text is its own sentence.

    `status` is HTTP's, `field` the name of the value at fault if there is one, `body` the answer as it came.
    """

    def __init__(self, message: str, *, status: int, field: Optional[str] = None, body: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.body = body


class BadRequest(ApiError):
    """400: a value that the server does not take."""


class Unauthorized(ApiError):
    """401: it wants a token, or another one."""


class NotFound(ApiError):
    """404: there is no such object, or not this one any more."""


class Conflict(ApiError):
    """409: the name is taken."""


_BY_STATUS = {400: BadRequest, 401: Unauthorized, 404: NotFound, 409: Conflict}


def api_error(status: int, body: Any, asked: str) -> ApiError:
    """The error for a refused request; `asked` is its method and path."""
    message, field = None, None
    if isinstance(body, dict):
        message, field = body.get("error"), body.get("field")
    text = message if isinstance(message, str) else f"the server answered {status}"
    return _BY_STATUS.get(status, ApiError)(f"{text} ({asked})", status=status, field=field, body=body)
