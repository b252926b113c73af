"""Whatever ends first - the client, the server, the test - nothing stays behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import List

import pytest

import weir
from peers import PATIENCE, Echo, is_refused, process_state, round_trip, wait_until
from processes import Script


def test_a_sigkilled_client_leaves_nothing_on_a_server_that_it_attached_to(db: weir.Proxy, server: weir.Server) -> None:
    with db.latency("1ms", name="ours"), Script("""
            import sys, weir
            client = weir.connect(sys.argv[1])
            own = client.proxy("own", upstream="127.0.0.1:1").create()
            fault = own.latency("1ms").create()
            theirs = client.find("db")
            on_theirs = theirs.latency("5s").create()
            hold = theirs.down().create()
            print("holding")
            input()
            """, server.url) as script:
        assert script.line() == "holding"
        assert not db.enabled
        assert len(db.faults()) == 2
        assert [each["name"] for each in server.proxies()] == ["db", "own"]
        script.kill()
        began = time.monotonic()
        wait_until(lambda: [each["name"] for each in server.proxies()] == ["db"], "its proxy is gone", 1.0)
        wait_until(lambda: db.enabled, "its hold is gone", 1.0)
        wait_until(lambda: [each["name"] for each in db.faults()] == ["ours"], "its fault alone is gone", 1.0)
        assert time.monotonic() - began < 1.0 * PATIENCE
        assert round_trip(db.port) < 5


def test_a_sigkilled_client_leaves_no_private_server() -> None:
    with Script("""
            import weir
            server = weir.Server().create()
            proxy = server.proxy("own", upstream="127.0.0.1:1").create()
            print(server.pid, proxy.port)
            input()
            """) as script:
        pid, port = map(int, script.line().split())
        assert process_state(pid) is not None
        script.kill()
        wait_until(lambda: process_state(pid) in (None, "Z"), "the server has ended", 5.0)
        wait_until(lambda: is_refused(port), "its port is free", 5.0)


def test_a_client_that_just_exits_leaves_no_private_server() -> None:
    with Script("""
            import weir
            server = weir.Server().create()
            print(server.pid)
            """) as script:
        pid = int(script.line())
        wait_until(lambda: process_state(pid) in (None, "Z"), "the server has ended", 5.0)


def test_sigint_in_the_body(db: weir.Proxy, server: weir.Server) -> None:
    with Script("""
            import sys, weir
            with weir.connect(sys.argv[1]) as client, client.find("db") as db:
                try:
                    with db.latency("1ms"), db.down():
                        print("holding")
                        input()
                except KeyboardInterrupt:
                    print("interrupted", len(db.faults()), db.enabled)
            """, server.url) as script:
        assert script.line() == "holding"
        assert not db.enabled
        script.process.send_signal(signal.SIGINT)
        assert script.line() == "interrupted 0 True"
        assert script.process.wait(20 * PATIENCE) == 0


def test_ctrl_c_at_the_terminal_is_not_the_servers() -> None:
    with weir.Server() as server:
        assert os.getpgid(server.pid) != os.getpgid(0)
        assert os.getsid(server.pid) != os.getsid(0)


def test_a_server_killed_inside_the_body(echo: Echo) -> None:
    with weir.Server() as server:
        with server.proxy("db", upstream=echo.address) as db:
            with db.latency("1ms"), db.down():
                server.kill()
            assert is_refused(db.port)
        with pytest.raises(weir.Unreachable):
            server.proxy("late", upstream=echo.address).create()
    assert server.returncode == -signal.SIGKILL


def test_the_bodys_exception_comes_out_of_a_server_that_was_killed(echo: Echo) -> None:
    problem = ValueError("of the body")
    with pytest.raises(ValueError) as caught:
        with weir.Server() as server, server.proxy("db", upstream=echo.address) as db, db.latency("1ms"):
            server.kill()
            raise problem
    assert caught.value is problem


def test_a_client_whose_lease_was_ended_is_told(server: weir.Server, echo: Echo) -> None:
    with weir.connect(server.url) as client, client.proxy("db", upstream=echo.address) as db:
        server.api.ask("DELETE", f"/api/v1/leases/{client.lease.id}")
        assert server.proxies() == []
        with pytest.raises(weir.Conflict, match="this lease is not held"):
            client.proxy("late", upstream=echo.address).create()
        with pytest.raises(weir.NotFound):
            db.latency("1ms").create()


def test_a_client_of_a_server_that_went_away_is_told(echo: Echo) -> None:
    with weir.Server() as server, weir.connect(server.url) as client:
        server.kill()
        wait_until(lambda: _lease_is_lost(client), "the client sees it")
        assert process_state(server.pid) is None


def _lease_is_lost(client: weir.Client) -> bool:
    try:
        client.lease.check()
    except weir.LeaseLost:
        return True
    return False


def test_closing_a_client_takes_back_what_was_not_closed(db: weir.Proxy, server: weir.Server) -> None:
    client = weir.connect(server.url)
    forgotten = client.proxy("forgotten", upstream="127.0.0.1:1").create()
    hold = client.find("db").down().create()
    client.close()
    assert [each["name"] for each in server.proxies()] == ["db"]
    assert db.enabled
    hold.close()
    forgotten.close()
    client.close()


def test_a_forked_child_neither_renews_nor_reverts(db: weir.Proxy, server: weir.Server) -> None:
    with Script("""
            import os, sys, weir
            client = weir.connect(sys.argv[1])
            own = client.proxy("own", upstream="127.0.0.1:1").create()
            fault = client.find("db").latency("1ms").create()
            client.proxies()  # leaves a connection that the child must not use
            child = os.fork()
            if child == 0:
                fault.close()
                own.close()
                client.close()
                try:
                    client.proxy("childs", upstream="127.0.0.1:1").create()
                except weir.LeaseLost:
                    print("child", len(client.proxies()))
                input()
                os._exit(0)
            print("parent", os.getpid(), child)
            os.waitpid(child, 0)
            """, server.url) as script:
        lines = sorted([script.line(), script.line()])
        assert lines[0] == "child 2"  # it has reverted nothing, and may ask
        child = int(lines[1].split()[2])
        try:
            assert [each["name"] for each in db.faults()] == ["latency_downstream"]
            script.kill()
            # The child lives, and keeps nothing alive.
            wait_until(lambda: db.faults() == [], "the lease of the parent ended", 1.0)
            wait_until(lambda: len(server.proxies()) == 1, "its proxy is gone", 1.0)
            assert process_state(child) not in (None, "Z")
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_forked_child_does_not_keep_a_private_server_alive() -> None:
    with Script("""
            import os, weir
            server = weir.Server().create()
            child = os.fork()
            if child == 0:
                server.close()
                print(os.getpid(), server.pid)
                input()
                os._exit(0)
            os.waitpid(child, 0)
            """) as script:
        child, server = map(int, script.line().split())
        try:
            assert process_state(server) not in (None, "Z")
            script.kill()
            wait_until(lambda: process_state(server) in (None, "Z"), "the server has ended", 5.0)
            assert process_state(child) not in (None, "Z")
        finally:
            os.kill(child, signal.SIGKILL)


def test_two_servers_know_nothing_of_each_other(echo: Echo) -> None:
    with weir.Server() as one, weir.Server() as other:
        with one.proxy("db", upstream=echo.address) as first, other.proxy("db", upstream=echo.address) as second:
            with first.latency("1s"):
                assert round_trip(first.port) >= 1
                assert round_trip(second.port) < 1 * PATIENCE
                assert second.faults() == []
            assert (one.pid, first.port) != (other.pid, second.port)


def test_fifty_threads(server: weir.Server, db: weir.Proxy, echo: Echo) -> None:
    problems: List[BaseException] = []
    start = threading.Barrier(50)

    def work(number: int) -> None:
        try:
            start.wait()
            for _ in range(3):
                with server.proxy(f"own-{number}", upstream=echo.address) as own:
                    with own.latency("20ms"), db.latency("1us"):
                        assert round_trip(own.port) >= 0.02
                    with own.down():
                        assert is_refused(own.port)
                    round_trip(own.port)
        except BaseException as problem:  # noqa: B902 - it is told to the test
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert db.faults() == []


def test_two_hundred_clients(server: weir.Server, echo: Echo) -> None:
    clients = [weir.connect(server.url) for _ in range(200)]
    for number, client in enumerate(clients):
        client.proxy(f"p{number}", upstream=echo.address).create()
    assert len(server.proxies()) == 200
    for client in clients[:100]:
        client.lease._stream.close()  # as a crash would
        client.api.close()
    wait_until(lambda: len(server.proxies()) == 100, "half of it is gone", 1.0)
    for client in clients:
        client.close()
    assert server.proxies() == []


def test_sockets_are_closed_with_the_client(server: weir.Server) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with weir.connect(server.url) as client, client.proxy("p", upstream="127.0.0.1:1") as proxy:
            proxy.events(after=0, timeout=0.01).close()
    with weir.Server():
        pass
    assert len(os.listdir("/proc/self/fd")) <= before
