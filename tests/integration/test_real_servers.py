"""PostgreSQL, Redis and nginx through weir: their own clients notice nothing, and checksums agree."""

import hashlib
import random
import re
import signal
import socket
import subprocess
import urllib.request

import pytest

from deadline import PATIENCE, wait_until
from private_servers import Nginx, PostgreSQL, Redis, find_program
from session_log import read_sessions, wait_for_closed
from peers import Listener, random_bytes

HUNDRED_MEGABYTES = 100 * 1000 * 1000


def run(*command, seconds=60.0, **options):
    """Runs a client program; its failure is the test's, with what it said."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False,
                          timeout=seconds * PATIENCE, stdin=options.pop("stdin", subprocess.DEVNULL), **options)
    assert done.returncode == 0, f"{command[0]} failed: {done.stdout[-2000:]} {done.stderr[-2000:]}"
    return done.stdout


def running(kind):
    """A module's fixture: one server of this kind, or a skip with the reason."""
    @pytest.fixture(scope="module")
    def server():
        if reason := kind.why_unavailable():
            pytest.skip(reason)
        with kind() as it:
            yield it
    return server


postgresql = running(PostgreSQL)
redis = running(Redis)
nginx = running(Nginx)


def sha256_of_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# -- PostgreSQL --------------------------------------------------------------------------------------


def psql(address, *words, **options):
    host, port = address
    return run(find_program("psql"), "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", port,
               "-U", "postgres", *words, "postgres", **options)


@pytest.mark.slow
@pytest.mark.parametrize("view", ["none", "json"])
def test_pgbench_runs_its_transactions_without_a_failure(postgresql, start_weir, view):
    weir = start_weir(f"127.0.0.1:{postgresql.port}", view=view)
    host, port = weir.address
    where = ["-h", host, "-p", port, "-U", "postgres"]
    run(find_program("pgbench"), "-i", "-q", "-s", 1, *where, "postgres")
    said = run(find_program("pgbench"), "-n", "-c", 8, "-j", 2, "-t", 250, *where, "postgres")
    assert "number of transactions actually processed: 2000/2000" in said
    assert "number of failed transactions: 0" in said
    said = run(find_program("pgbench"), "-n", "-S", "-M", "prepared", "-c", 4, "-t", 500, *where, "postgres")
    assert "number of transactions actually processed: 2000/2000" in said


@pytest.fixture(scope="module")
def hundred_megabytes(tmp_path_factory):
    """A file of 100 MB in lines of 999 hex digits: what COPY passes on as it is."""
    path = tmp_path_factory.mktemp("copy") / "lines"
    digits = random.Random("copy").randbytes(HUNDRED_MEGABYTES // 2).hex()
    with open(path, "w", encoding="ascii") as file:
        for at in range(0, HUNDRED_MEGABYTES, 1000):
            file.write(digits[at:at + 999] + "\n")
    assert path.stat().st_size == HUNDRED_MEGABYTES
    return path


@pytest.mark.slow
@pytest.mark.parametrize("view", ["none", "json"])
def test_copy_of_100_mb_both_ways_keeps_its_checksum(postgresql, start_weir, hundred_megabytes, tmp_path, view):
    weir = start_weir(f"127.0.0.1:{postgresql.port}", view=view)
    psql(weir.address, "-c", "DROP TABLE IF EXISTS line", "-c", "CREATE UNLOGGED TABLE line (text text)")
    psql(weir.address, "-c", f"\\copy line FROM '{hundred_megabytes}'")
    psql(weir.address, "-c", f"\\copy line TO '{tmp_path}/back'")
    assert sha256_of_file(tmp_path / "back") == sha256_of_file(hundred_megabytes)
    assert weir.stop() == 0
    if view == "json":
        totals = [session.closed["totals"] for session in read_sessions(weir.events()).values()]
        assert max(total["upstream"]["bytes"] for total in totals) > HUNDRED_MEGABYTES
        assert max(total["downstream"]["bytes"] for total in totals) > HUNDRED_MEGABYTES


def test_postgresql_behind_its_unix_socket_and_an_ipv6_address(postgresql, start_weir):
    over_unix = start_weir(f"unix:{postgresql.unix_path}")
    assert psql(over_unix.address, "-c", "SELECT inet_client_addr() IS NULL").strip() == "t"
    over_ipv6 = start_weir(f"[::1]:{postgresql.port}", listen="[::1]:0")
    assert psql(over_ipv6.address, "-c", "SELECT host(inet_client_addr())").strip() == "::1"


def test_a_cancelled_query_is_cancelled_through_weir(postgresql, start_weir):
    """psql's Ctrl-C opens a second connection to the same address: it must reach the same server."""
    weir = start_weir(f"127.0.0.1:{postgresql.port}")
    host, port = weir.address
    sleeper = subprocess.Popen([find_program("psql"), "-X", "-h", host, "-p", str(port), "-U", "postgres",
                                "-c", "SELECT pg_sleep(60)", "postgres"],
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: psql(weir.address, "-c", "SELECT count(*) FROM pg_stat_activity WHERE "
                                "query = 'SELECT pg_sleep(60)' AND state = 'active'").strip() == "1",
                   "the query runs")
        sleeper.send_signal(signal.SIGINT)
        assert "canceling statement due to user request" in sleeper.communicate(timeout=20 * PATIENCE)[1]
    finally:
        sleeper.kill()
        sleeper.wait()


# -- Redis -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("view", ["none", "text"])
@pytest.mark.parametrize("pipeline", [1, 16])
def test_redis_benchmark_gets_every_answer(redis, start_weir, view, pipeline):
    weir = start_weir(f"127.0.0.1:{redis.port}", view=view)
    host, port = weir.address
    requests = 5000 if pipeline == 1 else 40000
    said = run(find_program("redis-benchmark"), "-h", host, "-p", port, "-t", "set,get,lrange_100",
               "-n", requests, "-c", 20, "-P", pipeline, "-r", 1000, "-d", 100, "--csv")
    names = re.findall(r'^"([A-Z][^"]*)","[\d.]+"', said, flags=re.MULTILINE)
    assert {"SET", "GET"} <= set(names) and any(name.startswith("LRANGE_100") for name in names), said
    assert weir.stop() == 0


@pytest.mark.parametrize("view", ["none", "json"])
def test_a_value_of_50_mb_comes_back_as_it_was(redis, start_weir, view):
    weir = start_weir(f"127.0.0.1:{redis.port}", view=view)
    value = random_bytes("value", 50 * 1000 * 1000)
    with socket.create_connection(weir.address) as client:
        client.settimeout(30 * PATIENCE)
        client.sendall(b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n" % len(value) + value + b"\r\n")
        with client.makefile("rb") as answers:
            assert answers.readline() == b"+OK\r\n"
            client.sendall(b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n")
            assert answers.readline() == b"$%d\r\n" % len(value)
            back = answers.read(len(value))
            assert hashlib.sha256(back).digest() == hashlib.sha256(value).digest()
            assert answers.readline() == b"\r\n"


def test_redis_behind_its_unix_socket(redis, start_weir):
    weir = start_weir(f"unix:{redis.unix_path}")
    host, port = weir.address
    assert run(find_program("redis-cli"), "-h", host, "-p", port, "PING").strip() == "PONG"
    assert wait_for_closed(weir)[1].opened["upstream"] == f"unix:{redis.unix_path}"


def test_redis_through_a_unix_listener(redis, start_weir, tmp_path):
    weir = start_weir(f"127.0.0.1:{redis.port}", listen=f"unix:{tmp_path}/front.sock")
    assert run(find_program("redis-cli"), "-s", f"{tmp_path}/front.sock", "PING").strip() == "PONG"
    assert weir.stop() == 0
    assert not (tmp_path / "front.sock").exists(), "weir leaves its socket behind"


# -- nginx -------------------------------------------------------------------------------------------

@pytest.mark.slow
@pytest.mark.skipif(find_program("wrk") is None, reason="not installed: wrk")
@pytest.mark.parametrize("view", ["none", "text"])
def test_nginx_answers_10_000_requests_of_wrk(nginx, start_weir, view):
    (nginx.root / "page").write_bytes(random_bytes("page", 1000))
    weir = start_weir(f"127.0.0.1:{nginx.port}", view=view)
    host, port = weir.address
    answered = 0
    for _ in range(20):  # wrk counts seconds, not requests
        said = run(find_program("wrk"), "-t", 1, "-c", 16, "-d", "1s", f"http://{host}:{port}/page")
        assert "Socket errors" not in said and "Non-2xx" not in said, said
        answered += int(re.search(r"(\d+) requests in", said)[1])
        if answered >= 10000:
            return
    raise AssertionError(f"only {answered} requests in 20 s")


@pytest.mark.parametrize("view", ["none", "json"])
def test_a_large_file_keeps_its_checksum(nginx, start_weir, view):
    content = random_bytes("file", 100 * 1000 * 1000)
    (nginx.root / "large").write_bytes(content)
    weir = start_weir(f"127.0.0.1:{nginx.port}", view=view)
    host, port = weir.address
    digest = hashlib.sha256()
    with urllib.request.urlopen(f"http://{host}:{port}/large", timeout=30 * PATIENCE) as answer:
        while block := answer.read(1 << 20):
            digest.update(block)
    assert digest.digest() == hashlib.sha256(content).digest()


# -- addresses ---------------------------------------------------------------------------------------


def test_a_unix_listener_in_front_of_a_unix_upstream(scene, tmp_path):
    scene.listener = scene.add_listener(path=str(tmp_path / "back.sock"))
    scene.open(listen=f"unix:{tmp_path}/front.sock")
    assert scene.weir.ready_lines == [f"weir: listening on unix:{tmp_path}/front.sock, upstream {scene.listener.text}"]
    scene.play(client="connect send:1M fin read", server="accept read send:1M fin")
    scene.expect_delivered(upstream=1 << 20, downstream=1 << 20)


def test_ipv6_on_both_legs(scene):
    scene.listener = scene.add_listener(host="::1")
    scene.open(listen="[::1]:0")
    assert scene.weir.listening_on[0].startswith("[::1]:")
    scene.play(client="connect send:1M fin read", server="accept read send:1M fin")
    scene.expect_delivered(upstream=1 << 20, downstream=1 << 20)
    assert scene.session().opened["client"].startswith("[::1]:")


def test_a_name_is_resolved_when_a_client_connects(scene):
    scene.listener = scene.add_listener()
    scene.open(upstream=f"localhost:{scene.listener.address[1]}")
    scene.play(client="connect send:10 read:10 fin read", server="accept echo:10 read fin")
    assert scene.session().opened["upstream"] == scene.listener.text


def test_a_bare_port_is_loopback_only(start_weir, listener):
    weir = start_weir(listener.text, listen="0")
    assert weir.listening_on[0].startswith("127.0.0.1:")


def test_a_colon_and_a_port_is_all_addresses_of_both_families(start_weir, listener):
    weir = start_weir(listener.text, listen=":0")
    for host in ("127.0.0.1", "127.0.0.2", "::1"):
        socket.create_connection((host, weir.port), 5).close()


def test_port_0_gives_two_weirs_two_ports(start_weir):
    upstream = Listener()
    first, second = start_weir(upstream.text), start_weir(upstream.text)
    assert first.port != second.port
    upstream.close()
