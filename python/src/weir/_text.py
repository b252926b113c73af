"""Python's values as the API writes them."""

from __future__ import annotations

from datetime import timedelta
from typing import Optional, Union

Duration = Union[str, timedelta]
"""A text such as "100ms", "1.5s" or "0", or a timedelta. A bare number would hide its unit."""

Size = Union[str, int]
"""Bytes: 4096, or a text such as "64KiB" or "10MB"."""

Rate = Union[str, int]
"""Bytes per second: 100_000, or a text such as "100KB/s"."""

Bytes = Union[str, bytes]
"""Bytes, or hex digits such as "0a"."""

After = Union[str, timedelta]
"""An age of the session ("5s", a timedelta), or an offset in its stream ("64KiB")."""


def as_duration(value: Duration) -> str:
    if isinstance(value, timedelta):
        microseconds = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
        return f"{microseconds}us"
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no duration: write a text with its unit such as '100ms', or a timedelta")
    return value


def as_optional_duration(value: Optional[Duration]) -> Optional[str]:
    return None if value is None else as_duration(value)


def as_optional_after(value: Optional[After]) -> Optional[str]:
    return as_optional_duration(value)


def as_rate(value: Rate) -> str:
    return f"{value}B/s" if isinstance(value, int) and value != 0 else str(value)


def as_hex(value: Bytes) -> str:
    return value.hex() if isinstance(value, bytes) else value
