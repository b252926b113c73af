"""Live sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping, Optional

from ._errors import NotFound
from ._http import Api, part


@dataclass(frozen=True)
class Session:
    """A session as it stood when the server was asked."""

    proxy: str
    number: int
    phase: str
    client: str
    upstream: Optional[str]
    age: float  # seconds
    bytes_upstream: int
    bytes_downstream: int
    _api: Api = field(repr=False, compare=False)

    @classmethod
    def read(cls, api: Api, data: Mapping[str, Any]) -> Session:
        return cls(proxy=data["proxy"], number=data["session"], phase=data["phase"], client=data["client"],
                   upstream=data["upstream"], age=data["age_seconds"], bytes_upstream=data["bytes_upstream"],
                   bytes_downstream=data["bytes_downstream"], _api=api)

    def close(self) -> bool:
        """Ends it, with an orderly end to both sides. False: it had ended already."""
        try:
            self._api.ask("DELETE", f"/api/v1/proxies/{part(self.proxy)}/sessions/{self.number}")
        except NotFound:
            return False
        return True


def live_sessions(api: Api, limit: int, proxy: Optional[str]) -> Iterator[Session]:
    """At most `limit`, of one proxy or of all, as they stand when the first is asked for."""
    narrowed = "" if proxy is None else f"&proxy={part(proxy)}"
    for each in api.ask("GET", f"/api/v1/sessions?limit={limit}{narrowed}")["sessions"]:
        yield Session.read(api, each)
