"""A proxy of a server."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Optional

from ._event import Canceller, Event, EventStream, Waiter, Wanted, events_from, last_event
from ._fault import Fault, Hold, fields_of, new_id
from ._faults import DIRECTIONS, FaultMethods
from ._held import Held
from ._http import Api, part
from ._lease import Lease, Leaseholder
from ._session import Session, live_sessions
from ._verdict import Report, Verdict, report_of, verdicts_of


class Proxy(Held, FaultMethods[Fault]):
    """Listens, and connects each client to its upstream, from create() to close().

    Has a method for every fault: `with proxy.latency("100ms"): ...`. Made by Client.proxy(); those from
    Client.find() are somebody else's: closing such a one takes back what was done to it here, and nothing else.
    """

    def __init__(self, client: Leaseholder, name: str, wish: Mapping[str, Any], own: bool = True) -> None:
        self.name = name
        self._client = client
        self._wish = dict(wish)
        self._own = own
        self._id = new_id()
        self._listen = ""
        self._waiter: Optional[Waiter] = None
        super().__init__()

    def __str__(self) -> str:
        return f"proxy {self.name}"

    # --- where it is ---

    @property
    def address(self) -> str:
        """Where it listens: "127.0.0.1:40123", or "unix:/path"."""
        if not self._listen:
            raise RuntimeError(f"{self} listens nowhere yet: use `with`, or call create()")
        if self._listen.endswith(":0"):  # it was created disabled; its port comes when it is first enabled
            self._listen = self.info()["listen"]
        return self._listen

    @property
    def host(self) -> str:
        """The address without its port, and without the brackets of IPv6."""
        host = self._tcp_address().rpartition(":")[0]
        return host.strip("[]") or "127.0.0.1"

    @property
    def port(self) -> int:
        return int(self._tcp_address().rpartition(":")[2])

    def _tcp_address(self) -> str:
        if self.address.startswith("unix:"):
            raise ValueError(f"{self} listens on a Unix socket; see its address")
        return self.address

    # --- what it does ---

    def down(self) -> Hold:
        """Closed while this is held: its sessions end, and who connects is refused. Its port stays its own."""
        return Hold(self)

    def fault(self, type: str, **attributes: Any) -> Fault:
        """A fault by its name; the methods named after the faults do the same with types."""
        return self._make_fault(type, {"direction": DIRECTIONS.get(type), **attributes})

    def update(self, **changes: Any) -> None:
        """Changes its rule for good: update(upstream="127.0.0.1:5433"). Only another
        `listen` and `enabled=False` end its sessions; docs/settings.md says what else reaches open ones."""
        answer = self.api.ask("PATCH", self.path, changes, {"Weir-Id": self._id} if self._own else None)
        self._listen = answer["listen"]

    def info(self) -> Dict[str, Any]:
        """As the server shows it now."""
        answer: Dict[str, Any] = self.api.ask("GET", self.path)
        return answer

    @property
    def enabled(self) -> bool:
        """Does it listen now?"""
        return bool(self.info()["enabled"])

    def faults(self) -> List[Dict[str, Any]]:
        """All its faults, whoever made them, in the order in which a chunk meets them."""
        return list(self.api.ask("GET", f"{self.path}/faults")["faults"])

    def sessions(self, limit: int = 1000) -> Iterator[Session]:
        """Its live sessions, as they stand when the first is asked for."""
        return live_sessions(self.api, limit, self.name)

    def report(self) -> Report:
        """Who lost the time of its exchanges, and why, since `diagnose` was switched on; print() shows it. Raises
        Conflict if it is off: make the proxy with diagnose=True, or update(diagnose=True)."""
        return report_of(self.api, self.name)

    def verdicts(self, after: Optional[int] = None, limit: int = 100) -> List[Verdict]:
        """The last ones, or those after the id of one, the oldest first; the server remembers 4,096. Raises Conflict
        if `diagnose` is off."""
        return verdicts_of(self.api, self.name, after, limit)

    def events(self, after: Optional[int] = None, timeout: Optional[float] = None) -> EventStream:
        """Its events from now on, or after that one; see EventStream."""
        return events_from(self.api, after, timeout, self.name)

    def wait_for(self, event: Wanted, timeout: float = 10.0) -> Event:
        """The first such event since it was created that no earlier wait_for(event) gave: what happened before
        the call counts, so nothing can be missed. Raises WaitTimeout after so many seconds."""
        return self._wait_for(event, timeout)

    def _wait_for(self, event: Wanted, timeout: float, canceller: Optional[Canceller] = None) -> Event:
        if self._waiter is None:
            raise RuntimeError(f"{self} was not created: use `with`, or call create()")
        return self._waiter.wait_for(event, timeout, canceller)

    # --- for this package ---

    @property
    def api(self) -> Api:
        return self._client.api

    @property
    def lease(self) -> Lease:
        return self._client.lease

    @property
    def path(self) -> str:
        return f"/api/v1/proxies/{part(self.name)}"

    def _make_fault(self, type: str, attributes: Mapping[str, Any]) -> Fault:
        return Fault(self, {"type": type, **fields_of(attributes)})

    def _acquire(self) -> None:
        start = last_event(self.api)
        name = self.name
        self._waiter = Waiter(self.api, str(self), start, lambda event: event.proxy == name)
        if self._own:
            answer = self.api.ask("POST", "/api/v1/proxies", self._wish, self.lease.headers(self._id))
        else:
            answer = self.api.ask("GET", self.path)
        self._listen = answer["listen"]

    def _release(self) -> None:
        if self._own:
            self.api.ask("DELETE", self.path, None, {"Weir-Id": self._id})

    def _another(self) -> Proxy:
        return Proxy(self._client, self.name, self._wish, self._own)
