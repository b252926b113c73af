"""Weir from Python: proxies, faults and what they hold as context managers.

    with weir.Server() as server, server.proxy("db", upstream="127.0.0.1:5432") as db:
        with db.latency("100ms", jitter="20ms"):
            run_the_query(port=db.port)

Nothing stays behind: not when the body raises, not when the process is killed, not when the server died first.
Start with Server and connect(); weir.aio is the same for asyncio, and weir.pytest_plugin is found by pytest.
"""

from ._client import Client, connect
from ._errors import (
    ApiError,
    BadRequest,
    BinaryNotFound,
    Closed,
    Conflict,
    LeaseLost,
    NoAnswerInTime,
    NotFound,
    StartError,
    Unauthorized,
    Unreachable,
    WaitTimeout,
    WeirError,
)
from ._event import Event, EventStream
from ._fault import Fault, Hold
from ._proxy import Proxy
from ._server import Server
from ._session import Session
from ._verdict import Loss, Report, Verdict

__all__ = [
    "ApiError", "BadRequest", "BinaryNotFound", "Client", "Closed", "Conflict", "Event", "EventStream", "Fault", "Hold",
    "LeaseLost", "Loss", "NoAnswerInTime", "NotFound", "Proxy", "Report", "Server", "Session", "StartError",
    "Unauthorized", "Unreachable", "Verdict", "WaitTimeout", "WeirError", "connect",
]

__version__ = "0.1.0"

for _name in __all__:  # as tracebacks and help() show them
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = "weir"
