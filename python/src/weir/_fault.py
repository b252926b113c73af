"""Faults and holds: what can be done to a proxy, which they know by its path alone."""

from __future__ import annotations

import uuid
from typing import Any, Dict, Mapping, Protocol

from ._errors import Conflict
from ._held import Held
from ._http import part
from ._lease import Leaseholder
from ._text import as_duration, as_hex


class Target(Leaseholder, Protocol):
    """What a fault or a hold is put on."""

    @property
    def path(self) -> str:
        """Of the API, such as /api/v1/proxies/db."""


def new_id() -> str:
    """What the server knows an object by, whatever becomes of its name."""
    return uuid.uuid4().hex


class Fault(Held):
    """One fault, in force from create() to close(). Made by the methods of Proxy."""

    def __init__(self, proxy: Target, fields: Mapping[str, Any]) -> None:
        self._proxy = proxy
        self._fields = dict(fields)
        self._id = new_id()
        #: Unique in its proxy: as given, or type and direction, with a number if that is taken.
        self.name: str = self._fields.get("name", "")
        super().__init__()

    @property
    def type(self) -> str:
        return str(self._fields["type"])

    def __str__(self) -> str:
        return f"fault {self.name or self.type} of {self._proxy}"

    def update(self, **attributes: Any) -> None:
        """Changes attributes, on open sessions too: update(latency="200ms"), update(probability=0.5)."""
        self._proxy.api.ask("PATCH", self._path, fields_of(attributes), {"Weir-Id": self._id})

    def info(self) -> Dict[str, Any]:
        """As the server shows it now: every field, and applied_sessions."""
        answer: Dict[str, Any] = self._proxy.api.ask("GET", self._path)
        return answer

    @property
    def applied_sessions(self) -> int:
        """In how many sessions it was in force so far."""
        return int(self.info()["applied_sessions"])

    @property
    def _path(self) -> str:
        return f"{self._proxy.path}/faults/{part(self.name)}"

    def _acquire(self) -> None:
        headers = self._proxy.lease.headers(self._id)
        if self.name:
            self._proxy.api.ask("POST", f"{self._proxy.path}/faults", self._fields, headers)
            return
        # Names are drawn from (the same seed, the same name, the same faults), so they are plain and counted.
        direction = self._fields.get("direction")
        base = f"{self.type}_{direction}" if direction else self.type
        count = 1
        while True:
            self.name = base if count == 1 else f"{base}_{count}"
            try:
                self._proxy.api.ask("POST", f"{self._proxy.path}/faults", {**self._fields, "name": self.name}, headers)
                return
            except Conflict as taken:
                if taken.field == "Weir-Lease":
                    raise
                count += 1

    def _release(self) -> None:
        self._proxy.api.ask("DELETE", self._path, None, {"Weir-Id": self._id})

    def _another(self) -> Fault:
        return Fault(self._proxy, self._fields)


class Hold(Held):
    """A proxy held down: nobody listens on its port until the last hold on it is closed."""

    def __init__(self, proxy: Target) -> None:
        self._proxy = proxy
        self._id = new_id()
        super().__init__()

    def __str__(self) -> str:
        return f"hold on {self._proxy}"

    def _acquire(self) -> None:
        self._proxy.api.ask("POST", f"{self._proxy.path}/holds", None, self._proxy.lease.headers(self._id))

    def _release(self) -> None:
        self._proxy.api.ask("DELETE", f"{self._proxy.path}/holds/{self._id}")

    def _another(self) -> Hold:
        return Hold(self._proxy)


def fields_of(attributes: Mapping[str, Any]) -> Dict[str, Any]:
    """Keyword arguments as fields: without those that are None, and for_ as for."""
    fields: Dict[str, Any] = {}
    for name, value in attributes.items():
        if value is None:
            continue
        if isinstance(value, bytes):
            value = as_hex(value)
        elif not isinstance(value, (str, int, float)):
            value = as_duration(value)
        fields[name.rstrip("_")] = value
    return fields
