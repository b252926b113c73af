"""A method for every fault of the catalog. Written by tools/generate_faults.py from a live server: do not edit."""

from __future__ import annotations

from typing import Any, Dict, Generic, Literal, Mapping, Optional, TypeVar

from ._text import (
    After,
    Bytes,
    Duration,
    Rate,
    Size,
    as_duration,
    as_hex,
    as_optional_after,
    as_optional_duration,
    as_rate,
)

Direction = Literal["upstream", "downstream", "both"]
Scope = Literal["session", "client", "proxy"]
Messages = Literal["line"]
Made = TypeVar("Made", covariant=True)


class FaultMethods(Generic[Made]):
    """What a proxy can do to its sessions. Nothing happens before the result is entered, or created.

    Of every fault: `probability` is the part of the sessions it applies to, `match` a client's address or network,
    `scope` what shares one draw, `after` when in a session it begins, `for_` how long it lasts. `on` makes it one
    for messages of that kind alone: `nth` is the first that is selected, `every` then one in so many.
    """

    def _make_fault(self, type: str, attributes: Mapping[str, Any]) -> Made:
        raise NotImplementedError

    def latency(self, latency: Duration = "0", *, jitter: Duration = "0",
                distribution: Literal["uniform", "constant", "normal", "pareto"] = "uniform",
                correlation: float = 0.0, direction: Direction = "downstream", probability: float = 1.0,
                match: Optional[str] = None, scope: Optional[Scope] = None,
                after: Optional[After] = None, for_: Optional[Duration] = None,
                on: Optional[Messages] = None, nth: Optional[int] = None, every: Optional[int] = None,
                name: Optional[str] = None) -> Made:
        """Every chunk leaves so much later than it came; order is always kept

        latency: How much later; less than 0 is as 0 (a duration such as 100ms, 1.5s or 0).
        jitter: How far from it a chunk may be; less than 0 is as 0 (a duration such as 100ms, 1.5s or 0).
        distribution: How the jitter is spread (uniform, constant, normal or pareto).
        correlation: How much a chunk's jitter resembles that of the one before (a number from 0 to 1).
        """
        return self._make_fault("latency", {
            "latency": as_duration(latency),
            "jitter": as_duration(jitter),
            "distribution": distribution,
            "correlation": correlation,
            "direction": direction,
            "probability": probability,
            "match": match,
            "scope": scope,
            "after": as_optional_after(after),
            "for": as_optional_duration(for_),
            "on": on,
            "nth": nth,
            "every": every,
            "name": name,
        })

    def bandwidth(self, rate: Rate = "0", *, direction: Direction = "downstream",
                  probability: float = 1.0, match: Optional[str] = None, scope: Optional[Scope] = None,
                  after: Optional[After] = None, for_: Optional[Duration] = None,
                  on: Optional[Messages] = None, nth: Optional[int] = None, every: Optional[int] = None,
                  name: Optional[str] = None) -> Made:
        """Passes no more than so many bytes per second; 0 passes none

        rate: The cap; toxiproxy's unit is 1,000 bytes per second (bytes per second such as 100KB/s, 1.5MB/s or 0).
        """
        return self._make_fault("bandwidth", {
            "rate": as_rate(rate),
            "direction": direction,
            "probability": probability,
            "match": match,
            "scope": scope,
            "after": as_optional_after(after),
            "for": as_optional_duration(for_),
            "on": on,
            "nth": nth,
            "every": every,
            "name": name,
        })

    def slow_close(self, delay: Duration = "0", *, direction: Direction = "downstream",
                   probability: float = 1.0, match: Optional[str] = None, scope: Optional[Scope] = None,
                   after: Optional[After] = None, for_: Optional[Duration] = None,
                   on: Optional[Messages] = None, nth: Optional[int] = None, every: Optional[int] = None,
                   name: Optional[str] = None) -> Made:
        """Bytes pass; FIN is passed on so much later

        delay: How much later (a duration such as 100ms, 1.5s or 0).
        """
        return self._make_fault("slow_close", {
            "delay": as_duration(delay),
            "direction": direction,
            "probability": probability,
            "match": match,
            "scope": scope,
            "after": as_optional_after(after),
            "for": as_optional_duration(for_),
            "on": on,
            "nth": nth,
            "every": every,
            "name": name,
        })

    def timeout(self, timeout: Duration = "0", *, direction: Direction = "downstream",
                probability: float = 1.0, match: Optional[str] = None, scope: Optional[Scope] = None,
                after: Optional[After] = None, for_: Optional[Duration] = None,
                on: Optional[Messages] = None, nth: Optional[int] = None, every: Optional[int] = None,
                name: Optional[str] = None) -> Made:
        """Drops every byte, and ends the session when none came for so long; 0 never ends it

        timeout: How long without a byte; 0: the session stays, and silent (a duration such as 100ms, 1.5s or 0).
        """
        return self._make_fault("timeout", {
            "timeout": as_duration(timeout),
            "direction": direction,
            "probability": probability,
            "match": match,
            "scope": scope,
            "after": as_optional_after(after),
            "for": as_optional_duration(for_),
            "on": on,
            "nth": nth,
            "every": every,
            "name": name,
        })

    def reset_peer(self, timeout: Duration = "0", *, direction: Direction = "downstream",
                   probability: float = 1.0, match: Optional[str] = None, scope: Optional[Scope] = None,
                   after: Optional[After] = None, for_: Optional[Duration] = None,
                   on: Optional[Messages] = None, nth: Optional[int] = None, every: Optional[int] = None,
                   name: Optional[str] = None) -> Made:
        """Resets both ends (RST) so long after the first byte, or the FIN, of the direction

        timeout: How long after the first byte; 0: at once (a duration such as 100ms, 1.5s or 0).
        """
        return self._make_fault("reset_peer", {
            "timeout": as_duration(timeout),
            "direction": direction,
            "probability": probability,
            "match": match,
            "scope": scope,
            "after": as_optional_after(after),
            "for": as_optional_duration(for_),
            "on": on,
            "nth": nth,
            "every": every,
            "name": name,
        })

    def slicer(self, average_size: Size = 0, *, size_variation: Size = 0, delay: Duration = "0",
               direction: Direction = "downstream", probability: float = 1.0,
               match: Optional[str] = None, scope: Optional[Scope] = None, after: Optional[After] = None,
               for_: Optional[Duration] = None, on: Optional[Messages] = None, nth: Optional[int] = None,
               every: Optional[int] = None, name: Optional[str] = None) -> Made:
        """Cuts the stream into small sends, with a pause after each

        average_size: A slice's mean size; 0 passes everything as it came (a number of bytes such as 4096, 64KiB or
            10MB).
        size_variation: How many bytes a slice may be shorter or longer; at most the average (a number of bytes such
            as 4096, 64KiB or 10MB).
        delay: The pause after each slice; toxiproxy's unit is microseconds (a duration such as 100ms, 1.5s or 0).
        """
        return self._make_fault("slicer", {
            "average_size": average_size,
            "size_variation": size_variation,
            "delay": as_duration(delay),
            "direction": direction,
            "probability": probability,
            "match": match,
            "scope": scope,
            "after": as_optional_after(after),
            "for": as_optional_duration(for_),
            "on": on,
            "nth": nth,
            "every": every,
            "name": name,
        })

    def limit_data(self, bytes: Size = 0, *, direction: Direction = "downstream",
                   probability: float = 1.0, match: Optional[str] = None, scope: Optional[Scope] = None,
                   after: Optional[After] = None, for_: Optional[Duration] = None,
                   on: Optional[Messages] = None, nth: Optional[int] = None, every: Optional[int] = None,
                   name: Optional[str] = None) -> Made:
        """Passes so many bytes, then ends the session

        bytes: How many bytes pass (a number of bytes such as 4096, 64KiB or 10MB).
        """
        return self._make_fault("limit_data", {
            "bytes": bytes,
            "direction": direction,
            "probability": probability,
            "match": match,
            "scope": scope,
            "after": as_optional_after(after),
            "for": as_optional_duration(for_),
            "on": on,
            "nth": nth,
            "every": every,
            "name": name,
        })

    def noop(self, *, direction: Direction = "downstream", probability: float = 1.0,
             match: Optional[str] = None, scope: Optional[Scope] = None, after: Optional[After] = None,
             for_: Optional[Duration] = None, on: Optional[Messages] = None, nth: Optional[int] = None,
             every: Optional[int] = None, name: Optional[str] = None) -> Made:
        """Changes nothing"""
        return self._make_fault("noop", {
            "direction": direction,
            "probability": probability,
            "match": match,
            "scope": scope,
            "after": as_optional_after(after),
            "for": as_optional_duration(for_),
            "on": on,
            "nth": nth,
            "every": every,
            "name": name,
        })

    def stall(self, *, direction: Direction = "both", probability: float = 1.0,
              match: Optional[str] = None, scope: Optional[Scope] = None, after: Optional[After] = None,
              for_: Optional[Duration] = None, on: Optional[Messages] = None, nth: Optional[int] = None,
              every: Optional[int] = None, name: Optional[str] = None) -> Made:
        """Freezes the stream without a FIN, as an unplugged cable does, and goes on when it ends"""
        return self._make_fault("stall", {
            "direction": direction,
            "probability": probability,
            "match": match,
            "scope": scope,
            "after": as_optional_after(after),
            "for": as_optional_duration(for_),
            "on": on,
            "nth": nth,
            "every": every,
            "name": name,
        })

    def loss(self, rate: float = 0.0, *, burst: int = 1, rto: Duration = "200ms", rtt: Duration = "20ms",
             direction: Direction = "downstream", probability: float = 1.0, match: Optional[str] = None,
             scope: Optional[Scope] = None, after: Optional[After] = None,
             for_: Optional[Duration] = None, on: Optional[Messages] = None, nth: Optional[int] = None,
             every: Optional[int] = None, name: Optional[str] = None) -> Made:
        """Loss as a TCP peer feels it: pauses, then all at once; no byte is ever missing

        rate: The part of the segments that is lost (a number from 0 to 1).
        burst: How many in a row are lost together (a whole number from 1 to 1000).
        rto: The least retransmission timeout beyond a round trip; it doubles (a duration such as 100ms, 1.5s or 0).
        rtt: The round trip of the path that loses (a duration such as 100ms, 1.5s or 0).
        """
        return self._make_fault("loss", {
            "rate": rate,
            "burst": burst,
            "rto": as_duration(rto),
            "rtt": as_duration(rtt),
            "direction": direction,
            "probability": probability,
            "match": match,
            "scope": scope,
            "after": as_optional_after(after),
            "for": as_optional_duration(for_),
            "on": on,
            "nth": nth,
            "every": every,
            "name": name,
        })

    def packet_loss(self, loss_rate: float = 0.1, *, correlation: float = 0.0,
                    direction: Direction = "downstream", probability: float = 1.0,
                    match: Optional[str] = None, scope: Optional[Scope] = None,
                    after: Optional[After] = None, for_: Optional[Duration] = None,
                    on: Optional[Messages] = None, nth: Optional[int] = None,
                    every: Optional[int] = None, name: Optional[str] = None) -> Made:
        """Drops chunks, so it corrupts the stream on purpose

        loss_rate: The part of the chunks that is dropped (a number from 0 to 1).
        correlation: How much a chunk's lot resembles that of the one before (a number from 0 to 1).
        """
        return self._make_fault("packet_loss", {
            "loss_rate": loss_rate,
            "correlation": correlation,
            "direction": direction,
            "probability": probability,
            "match": match,
            "scope": scope,
            "after": as_optional_after(after),
            "for": as_optional_duration(for_),
            "on": on,
            "nth": nth,
            "every": every,
            "name": name,
        })

    def corrupt(self, mode: Literal["flip", "replace", "truncate"] = "flip", *,
                at: Optional[Size] = None, rate: Optional[float] = None, pattern: Optional[Bytes] = None,
                with_: Optional[Bytes] = None, direction: Direction = "downstream",
                probability: float = 1.0, match: Optional[str] = None, scope: Optional[Scope] = None,
                after: Optional[After] = None, for_: Optional[Duration] = None,
                on: Optional[Messages] = None, nth: Optional[int] = None, every: Optional[int] = None,
                name: Optional[str] = None) -> Made:
        """Changes bytes: flips a bit, writes others over them, or cuts the stream off

        mode: What happens to the bytes (flip, replace or truncate).
        at: At this offset, counted from 0 (a number of bytes such as 4096, 64KiB or 10MB).
        rate: At this part of all bytes (a number from 0 to 1).
        pattern: Behind each occurrence of these bytes (bytes as hex digits such as 0a or deadbeef).
        with_: The bytes that mode=replace writes (bytes as hex digits such as 0a or deadbeef).
        """
        return self._make_fault("corrupt", {
            "mode": mode,
            "at": at,
            "rate": rate,
            "pattern": None if pattern is None else as_hex(pattern),
            "with": None if with_ is None else as_hex(with_),
            "direction": direction,
            "probability": probability,
            "match": match,
            "scope": scope,
            "after": as_optional_after(after),
            "for": as_optional_duration(for_),
            "on": on,
            "nth": nth,
            "every": every,
            "name": name,
        })

    def first_byte_delay(self, delay: Duration = "0", *, direction: Direction = "downstream",
                         probability: float = 1.0, match: Optional[str] = None,
                         scope: Optional[Scope] = None, after: Optional[After] = None,
                         for_: Optional[Duration] = None, on: Optional[Messages] = None,
                         nth: Optional[int] = None, every: Optional[int] = None,
                         name: Optional[str] = None) -> Made:
        """Holds the direction's first byte, and what follows it meanwhile, for so long

        delay: How long (a duration such as 100ms, 1.5s or 0).
        """
        return self._make_fault("first_byte_delay", {
            "delay": as_duration(delay),
            "direction": direction,
            "probability": probability,
            "match": match,
            "scope": scope,
            "after": as_optional_after(after),
            "for": as_optional_duration(for_),
            "on": on,
            "nth": nth,
            "every": every,
            "name": name,
        })

    def half_close(self, delay: Duration = "0", *, direction: Direction = "downstream",
                   probability: float = 1.0, match: Optional[str] = None, scope: Optional[Scope] = None,
                   after: Optional[After] = None, for_: Optional[Duration] = None,
                   on: Optional[Messages] = None, nth: Optional[int] = None, every: Optional[int] = None,
                   name: Optional[str] = None) -> Made:
        """Sends FIN in one direction after so long; the other goes on

        delay: How long after the fault begins (a duration such as 100ms, 1.5s or 0).
        """
        return self._make_fault("half_close", {
            "delay": as_duration(delay),
            "direction": direction,
            "probability": probability,
            "match": match,
            "scope": scope,
            "after": as_optional_after(after),
            "for": as_optional_duration(for_),
            "on": on,
            "nth": nth,
            "every": every,
            "name": name,
        })

    def accept_delay(self, delay: Duration = "0", *, probability: float = 1.0,
                     match: Optional[str] = None, scope: Optional[Scope] = None,
                     name: Optional[str] = None) -> Made:
        """Does nothing with a new connection for so long

        delay: How long (a duration such as 100ms, 1.5s or 0).
        """
        return self._make_fault("accept_delay", {
            "delay": as_duration(delay),
            "probability": probability,
            "match": match,
            "scope": scope,
            "name": name,
        })

    def connect_delay(self, delay: Duration = "0", *, probability: float = 1.0,
                      match: Optional[str] = None, scope: Optional[Scope] = None,
                      name: Optional[str] = None) -> Made:
        """Waits so long before it connects to the upstream

        delay: How long (a duration such as 100ms, 1.5s or 0).
        """
        return self._make_fault("connect_delay", {
            "delay": as_duration(delay),
            "probability": probability,
            "match": match,
            "scope": scope,
            "name": name,
        })

    def refuse(self, *, probability: float = 1.0, match: Optional[str] = None,
               scope: Optional[Scope] = None, name: Optional[str] = None) -> Made:
        """Resets a new connection (RST) as soon as it is accepted"""
        return self._make_fault("refuse", {
            "probability": probability,
            "match": match,
            "scope": scope,
            "name": name,
        })


#: What each fault's direction is by default; None: it has none.
DIRECTIONS: Dict[str, Optional[str]] = {
    "latency": "downstream",
    "bandwidth": "downstream",
    "slow_close": "downstream",
    "timeout": "downstream",
    "reset_peer": "downstream",
    "slicer": "downstream",
    "limit_data": "downstream",
    "noop": "downstream",
    "stall": "both",
    "loss": "downstream",
    "packet_loss": "downstream",
    "corrupt": "downstream",
    "first_byte_delay": "downstream",
    "half_close": "downstream",
    "accept_delay": None,
    "connect_delay": None,
    "refuse": None,
}
