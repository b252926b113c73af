"""The settings of a proxy. Written by tools/generate_settings.py from a live server: do not edit."""

from __future__ import annotations

from typing import Any, Dict, Generic, Literal, Mapping, Optional, TypeVar

from ._text import Duration, Size, as_duration

Made = TypeVar("Made", covariant=True)

Timeout = Literal["handshake", "resolve", "connect", "connect.attempt", "first_byte.client",
                  "first_byte.server", "idle", "idle.client", "idle.server", "write_stall",
                  "half_close", "max_duration", "reset_grace", "tcp.user_timeout",
                  "tcp.keepalive.idle", "tcp.keepalive.interval"]


class ProxyMethod(Generic[Made]):
    """How a client makes a proxy."""

    def _make_proxy(self, name: str, wish: Dict[str, Any]) -> Made:
        raise NotImplementedError

    def proxy(self, name: str, upstream: str, *, listen: str = "127.0.0.1:0", enabled: bool = True,
              handshake: Literal["none", "proxy_protocol"] = "none",
              on_connect_failure: Literal["reset", "close"] = "reset",
              max_sessions: Optional[int] = None, fault_queue_limit: Size = "32MiB",
              keepalive_count: Optional[int] = None, congestion: str = "auto", diagnose: bool = False,
              timeouts: Optional[Mapping[Timeout, Duration]] = None) -> Made:
        """A proxy of this client's. Nothing happens before the result is entered, or created.

        listen: Where clients connect: 8888, :8888, host:port or unix:/path; port 0 picks one.
        upstream: Where sessions are connected to: host:port or unix:/path; a name is looked up for each session.
        enabled: Whether it listens; false closes its sessions too.
        handshake: What a client has to say before the stream: none, or proxy_protocol (who is behind it, by a PROXY
            header of version 1 or 2; it is taken off).
        on_connect_failure: What a client gets when the upstream cannot be reached: reset (RST, as from a refused
            connect) or close (FIN, as toxiproxy does).
        max_sessions: Sessions at a time; further clients wait to be accepted; off: as many as there are descriptors
            for.
        fault_queue_limit: Bytes that its faults may hold in one direction of one session; then the source is not
            read.
        keepalive_count: Unanswered keepalive probes that end a session (TCP_KEEPCNT, tcp(7)); needs
            tcp.user_timeout=off; off: the system's.
        congestion: The congestion control of its TCP legs (TCP_CONGESTION, tcp(7)): auto takes the system's, but
            reno to and from peers on loopback where the system's paces what it sends (bbr); system never changes
            it.
        diagnose: Whether weir serve says who loses the time of its exchanges, and why (docs/causes.md).
        timeouts: By name, such as {"connect": "500ms", "idle": "off"}.
        """
        wish: Dict[str, Any] = {
            "listen": listen,
            "upstream": upstream,
            "enabled": enabled,
            "handshake": handshake,
            "on_connect_failure": on_connect_failure,
            "fault_queue_limit": fault_queue_limit,
            "congestion": congestion,
            "diagnose": diagnose,
        }
        if max_sessions is not None:
            wish["max_sessions"] = max_sessions
        if keepalive_count is not None:
            wish["keepalive_count"] = keepalive_count
        if timeouts:
            wish["timeouts"] = {key: as_duration(value) for key, value in timeouts.items()}
        return self._make_proxy(name, wish)
