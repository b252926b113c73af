"""Starting a private server, attaching to another, and how it is asked."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import List

import pytest

import weir
from peers import Echo, free_port, round_trip, wait_until
from weir._http import Endpoint
from weir._server import find_binary


def test_the_binary_is_weir_bin_then_path_then_an_error_that_names_both(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = find_binary()
    (tmp_path / "weir").symlink_to(os.path.abspath(real))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("WEIR_BIN", real)
    assert find_binary() == real
    monkeypatch.delenv("WEIR_BIN")
    assert find_binary() == str(tmp_path / "weir")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(weir.BinaryNotFound, match="WEIR_BIN is not set, and no `weir` is on PATH"):
        weir.Server().create()
    monkeypatch.setenv("WEIR_BIN", "/nonexistent/weir")
    with pytest.raises(weir.BinaryNotFound, match="WEIR_BIN=/nonexistent/weir is not a program"):
        weir.Server().create()


def test_what_it_said_is_in_the_error(tmp_path: Path) -> None:
    config = tmp_path / "weir.toml"
    config.write_text("sed = 1\n")
    with pytest.raises(weir.StartError, match='(?s)ended with 1 before it was ready; it said:.*did you mean "seed"'):
        weir.Server(options=["-c", str(config)]).create()


def test_a_server_that_is_never_ready(tmp_path: Path) -> None:
    sleeper = tmp_path / "weir"
    sleeper.write_text("#!/bin/sh\necho starting >&2\nexec sleep 1000\n")
    sleeper.chmod(0o755)
    with pytest.raises(weir.StartError, match="(?s)not ready within 0.3 s; it said:.starting"):
        weir.Server(binary=str(sleeper), start_timeout=0.3).create()


def test_a_binary_that_is_too_old(tmp_path: Path) -> None:
    with pytest.raises(weir.StartError, match="before it was ready"):
        weir.Server(binary="/bin/false").create()


def test_the_seed_and_the_configuration(echo: Echo, tmp_path: Path) -> None:
    config = tmp_path / "weir.toml"
    config.write_text(f'[[proxies]]\nname = "given"\nupstream = "{echo.address}"\n')
    with weir.Server(seed=7, options=["-c", str(config)]) as server:
        assert server.version()["seed"] == 7
        given = server.find("given")
        round_trip(given.port)
        with given.latency("50ms"):
            assert round_trip(given.port) >= 0.05
        given.close()
        assert [each["name"] for each in server.proxies()] == ["given"]


def test_unix_sockets_for_the_api_and_for_a_proxy(echo: Echo, tmp_path: Path) -> None:
    with weir.Server(api=f"unix:{tmp_path}/api.sock") as server, weir.connect(server.url) as client:
        assert client.url == f"unix:{tmp_path}/api.sock"
        with client.proxy("db", upstream=echo.address, listen=f"unix:{tmp_path}/db.sock") as db:
            assert db.address == f"unix:{tmp_path}/db.sock"
            with pytest.raises(ValueError, match="a Unix socket"):
                db.port
            with db.latency("30ms"), socket.socket(socket.AF_UNIX) as own:
                own.connect(f"{tmp_path}/db.sock")
                own.sendall(b"x")
                assert own.recv(1) == b"x"
        assert server.proxies() == []


def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as problem:
        pytest.skip(f"this machine has no IPv6 loopback: {problem}")
    with weir.Server(api="[::1]:0") as server:
        assert server.url.startswith("http://[::1]:")
        with weir.connect(server.url) as client, client.proxy("db", upstream="[::1]:1", listen="[::1]:0") as db:
            assert db.host == "::1"
            assert client.wait_for("proxy.created").proxy == "db"


def test_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEIR_TOKEN", raising=False)
    with weir.Server(token="secret") as server:
        with pytest.raises(weir.Unauthorized):
            weir.connect(server.url)
        with weir.connect(server.url, token="secret") as client:
            assert client.proxies() == []
        monkeypatch.setenv("WEIR_TOKEN", "secret")
        with weir.connect(server.url) as client:
            assert client.proxies() == []


def test_a_token_of_the_environment_is_not_the_private_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_TOKEN", "for another")
    with weir.Server() as server:
        assert server.proxies() == []


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.setenv("no_proxy", "")
    with weir.Server() as server, weir.connect(server.url) as client:
        assert client.proxies() == []


def test_nobody_there() -> None:
    with pytest.raises(weir.Unreachable, match="cannot be asked"):
        weir.connect(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(weir.Unreachable):
        weir.connect("unix:/nonexistent/api.sock")


def test_a_server_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(weir.NoAnswerInTime, match="within 0.2 s"):
            weir.connect(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)


def test_something_that_is_no_weir() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                client.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"version": "2.12.0"}')
                client.recv(65536)
        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(weir.WeirError, match="is no weir, or one too old"):
            weir.connect(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()


@pytest.mark.parametrize("url,text", [
    ("http://localhost:8474", "http://localhost:8474"), ("localhost:1", "http://localhost:1"),
    ("http://[::1]:9", "http://[::1]:9"), ("http://h", "http://h:8474"), ("unix:/run/w.sock", "unix:/run/w.sock")])
def test_addresses(url: str, text: str) -> None:
    assert str(Endpoint.parse(url)) == text


@pytest.mark.parametrize("url", ["https://h", "http://h:x", "http://h/path", "", "http://"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(weir.WeirError, match="write http://host:port or unix:/path"):
        Endpoint.parse(url)


def test_connections_are_kept_and_a_dead_one_is_noticed(server: weir.Server) -> None:
    with weir.connect(server.url) as client:
        client.proxies()
        (kept,) = client.api._idle
        client.proxies()
        assert client.api._idle == [kept]
        assert kept.sock is not None
        kept.sock.shutdown(socket.SHUT_RD)  # reads as ended, as when the server closed it
        assert client.proxies() == []
        assert kept not in client.api._idle


def test_options_of_a_proxy(server: weir.Server, echo: Echo) -> None:
    with server.proxy("db", upstream=echo.address, on_connect_failure="close", max_sessions=3,
                      timeouts={"idle": "10m", "connect": "off"}) as db:
        shown = db.info()
        assert (shown["on_connect_failure"], shown["max_sessions"]) == ("close", 3)
        assert shown["timeouts"]["idle"] == "10m"
        assert db.host == "127.0.0.1"
        db.update(timeouts={"idle": "1m"})
        assert db.info()["timeouts"]["idle"] == "1m"
    with server.proxy("off", upstream=echo.address, enabled=False) as off:
        assert not off.enabled
        with off.down():
            off.update(enabled=True)
            assert not off.enabled
        assert off.enabled
        round_trip(off.port)


def test_names_that_need_quoting(server: weir.Server, echo: Echo) -> None:
    with server.proxy("a b?&%é", upstream=echo.address) as proxy, proxy.latency("1ms", name="f #1"):
        assert [each.proxy for each in proxy.sessions()] == []
        assert [each["name"] for each in proxy.faults()] == ["f #1"]
    assert server.proxies() == []


def test_nothing_is_there_before_it_is_created(server: weir.Server) -> None:
    late = server.proxy("late", upstream="127.0.0.1:1")
    with pytest.raises(RuntimeError, match="listens nowhere yet"):
        late.port
    with late:
        assert late.port > 0
    with pytest.raises(weir.NotFound):
        server.find("nobody")
    unborn = weir.Server()
    with pytest.raises(RuntimeError, match="was not created"):
        unborn.proxies()
    unborn.create().close()


def test_the_log_of_a_server() -> None:
    with weir.Server() as server:
        assert "serving the API on 127.0.0.1" in server.log()


def test_closing_one_from_two_threads(server: weir.Server, echo: Echo) -> None:
    for _ in range(20):
        proxy = server.proxy("db", upstream=echo.address).create()
        problems: List[BaseException] = []

        def close() -> None:
            try:
                proxy.close()
            except BaseException as problem:  # noqa: B902 - it is told to the test
                problems.append(problem)
        threads = [threading.Thread(target=close) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
    wait_until(lambda: server.proxies() == [], "all are gone")
