"""A connection to a server that somebody else started."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Optional

from ._errors import NotFound, WeirError
from ._event import Canceller, Event, EventStream, Waiter, Wanted, events_from, last_event, past_events
from ._held import Held
from ._http import Api, Endpoint
from ._lease import Lease
from ._proxy import Proxy
from ._session import Session, live_sessions
from ._settings import ProxyMethod


class Client(Held, ProxyMethod[Proxy]):
    """Rules a running `weir serve`; from create() to close() it has a lease, which all that it makes carries."""

    _goes_when_lost = True

    def __init__(self, endpoint: Optional[Endpoint], token: Optional[str], timeout: float) -> None:
        self._endpoint = endpoint
        self._token = token
        self._timeout = timeout
        self._api: Optional[Api] = None
        self._lease: Optional[Lease] = None
        self._waiter: Optional[Waiter] = None
        super().__init__()

    def __str__(self) -> str:
        return f"weir at {self._endpoint}"

    @property
    def url(self) -> str:
        """Of the API: http://127.0.0.1:8474, or unix:/path. Any client of toxiproxy may use it too."""
        return str(self.api.endpoint)

    # --- proxies ---

    def _make_proxy(self, name: str, wish: Dict[str, Any]) -> Proxy:
        return Proxy(self, name, {"name": name, **wish})

    def find(self, name: str) -> Proxy:
        """A proxy that is there already, whoever made it. It stays when the object is closed; faults and holds
        that are put on it through the object carry this client's lease."""
        return Proxy(self, name, {}, own=False).create()

    def proxies(self) -> List[Dict[str, Any]]:
        """All proxies, whoever made them, as the server shows them."""
        return list(self.api.ask("GET", "/api/v1/proxies")["proxies"])

    # --- what happens ---

    def sessions(self, limit: int = 1000, proxy: Optional[str] = None) -> Iterator[Session]:
        """Live sessions, at most `limit`, as they stand when the first is asked for."""
        return live_sessions(self.api, limit, proxy)

    def events(self, after: Optional[int] = None, timeout: Optional[float] = None,
               proxy: Optional[str] = None) -> EventStream:
        """Events from now on, or after the one of that id, as they happen; see EventStream."""
        return events_from(self.api, after, timeout, proxy)

    def past_events(self, after: int = 0, proxy: Optional[str] = None) -> List[Event]:
        """Those after `after` that have happened already; the server remembers the last 4,096."""
        return past_events(self.api, after, proxy)

    def last_event(self) -> int:
        """The id of the newest event; 0 if there was none."""
        return last_event(self.api)

    def wait_for(self, event: Wanted, timeout: float = 10.0) -> Event:
        """As Proxy.wait_for, of all proxies, since this client was created."""
        return self._wait_for(event, timeout)

    def _wait_for(self, event: Wanted, timeout: float, canceller: Optional[Canceller] = None) -> Event:
        if self._waiter is None:
            raise RuntimeError(f"{self} was not created: use `with`, or call create()")
        return self._waiter.wait_for(event, timeout, canceller)

    def version(self) -> Dict[str, Any]:
        """The server's version and seed."""
        return dict(self.api.ask("GET", "/api/v1/version"))

    def catalog(self) -> List[Dict[str, Any]]:
        """Every fault that the server knows, with its attributes."""
        return list(self.api.ask("GET", "/api/v1/catalog")["faults"])

    # --- for this package ---

    @property
    def api(self) -> Api:
        if self._api is None:
            raise RuntimeError(f"{self} was not created: use `with`, or call create()")
        return self._api

    @property
    def lease(self) -> Lease:
        if self._lease is None:
            raise RuntimeError(f"{self} is closed")
        return self._lease

    def _acquire(self) -> None:
        assert self._endpoint is not None
        self._api = Api(self._endpoint, self._token, self._timeout)
        try:
            start = last_event(self._api)
            self._lease = Lease(self._api)
        except (NotFound, KeyError, TypeError) as strange:
            raise WeirError(f"{self._endpoint} is no weir, or one too old for this client") from strange
        self._waiter = Waiter(self._api, str(self), start, lambda event: True)

    def _release(self) -> None:
        lease, self._lease = self._lease, None
        try:
            if lease is not None:
                lease.close()
        finally:
            if self._api is not None:
                self._api.close()

    def _another(self) -> Client:
        return Client(self._endpoint, self._token, self._timeout)


def connect(url: str = "http://127.0.0.1:8474", *, token: Optional[str] = None, timeout: float = 10.0) -> Client:
    """A client of a running `weir serve`, at http://host:port or unix:/path.

    `token`: what the server was started with as WEIR_TOKEN; by default this process' own WEIR_TOKEN.
    `timeout`: seconds for each step of a request.
    """
    return Client(Endpoint.parse(url), token if token is not None else os.environ.get("WEIR_TOKEN"), timeout).create()
