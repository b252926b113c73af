"""The lease that everything a client creates or holds carries."""

from __future__ import annotations

import os
from typing import Protocol

from ._errors import ApiError, LeaseLost
from ._http import Api
from ._stream import Stream


class Lease:
    """Held by an open connection: when that closes, however this process ends, the server takes back what
    carries the lease. A forked child closes its copy, so that it keeps nothing alive."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._stream = Stream(api, "POST", "/api/v1/leases")
        self._process = os.getpid()
        self.id: str = self._stream.headers["Weir-Lease"]

    def check(self) -> None:
        """Raises LeaseLost if the server has cut the connection. Takes what it has sent meanwhile."""
        if self._process != os.getpid():
            raise LeaseLost("this process was forked from the one that holds the lease; connect anew")
        if self._stream.has_ended():
            raise LeaseLost(f"{self._api.endpoint} has ended this client's lease, and with it all that it held; "
                            "connect anew")

    def headers(self, object_id: str) -> dict[str, str]:
        """What a request that makes an object carries."""
        self.check()
        return {"Weir-Lease": self.id, "Weir-Id": object_id}

    def drop(self) -> None:
        """Ends it as the end of this process would."""
        self._stream.close()

    def close(self) -> None:
        """What carries the lease is gone when this returns."""
        try:
            if not self._stream.ended:
                self._api.ask("DELETE", f"/api/v1/leases/{self.id}")
        except ApiError as refused:
            if refused.status != 404:
                raise
        finally:
            self._stream.close()


class Leaseholder(Protocol):
    """What an object needs of the client that made it: where to ask, and the lease that its requests carry."""

    @property
    def api(self) -> Api: ...

    @property
    def lease(self) -> Lease: ...
