"""Integration tests of `weir`: black box, through its command line, against real and hostile peers.

Run them with

    /usr/bin/python3 -m pytest tests/integration                 everything
    /usr/bin/python3 -m pytest tests/integration -m 'not slow'   what is done within a minute or so
    WEIR_BIN=build/asan/src/cli/weir WEIR_TEST_PATIENCE=5 ...    another binary; all deadlines times 5

How they are made:
  weir_process.py       one running weir, on a port of the kernel's choice; readiness by descriptor
  peers.py              clients and servers that do what one line says ("connect send:64k fin read")
  swarm.py              thousands of well-behaved connections at once
  soak_traffic.py       sessions of random bytes and ends, checked byte by byte
  session_log.py        what weir's JSON view says about sessions and chunks
  view_readers.py       the streams back out of what each view printed
  private_servers.py    PostgreSQL, Redis, nginx in a folder of their own
  serve_process.py      one running `weir serve`, and an HTTP client that hides nothing
  rsyslog_server.py     a private rsyslogd, and what it understood
  openapi_schema.py     does an answer fit our OpenAPI document?
  black_hole.py         an upstream that never answers a connection attempt
  kernel_tables.py      what the kernel says about TCP sockets
  name_server.py        a DNS server that knows one name and answers late
  failing_calls.py      has calls of a program fail: the N-th allocation, open, thread start or write
  server.py             a server each of whose connections is given to a function
  echo.py               a server that sends back what comes, for proxies of weir serve
  scene.py              one weir between one client and one server, with what came of it
  network_room.py       a network namespace where packets vanish and names resolve elsewhere (root only)
  cni_host.py           a host of its own for CNI plugins: namespaces and leases (root only)
  running_at_once.py    is an interface running as soon as a program has ended?
  close_cause_table.py  the table of enemies in docs/close-causes.md, which test_enemies.py must cover
  deadline.py           the only way to wait: poll with a deadline
Nothing sleeps to synchronise; silences in these files are traffic under test. A test that cannot run
here is skipped with its reason, and the reasons are printed at the end. No connection leaves the machine.
"""

import resource
import signal

import pytest

import cni_host
import network_room
from network_room import NetworkRoom
from peers import Board, Listener, Peer
from scene import Scene
from serve_process import Serve
from weir_process import BINARY, Weir


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than about two seconds; runs by default")
    config.addinivalue_line("markers", "cni: calls the CNI plugins")
    # -rs: print the reason of every skipped test.
    if "s" not in config.option.reportchars:
        config.option.reportchars += "s"
    # A shell that runs the tests in its background has them ignore SIGINT, and with them what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for each in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(each, signal.SIG_DFL)
    # Thousands of peers live in this process. Weir itself starts with the limit it would get in a shell.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name.startswith("test_cni_"):
            item.add_marker("cni")


def pytest_report_header():
    return f"weir: {BINARY}{'' if BINARY.exists() else ' (missing: build it, or set WEIR_BIN)'}"


@pytest.fixture
def serve(weir_binary, tmp_path):
    """A running `weir serve` that ends well."""
    it = Serve(folder=tmp_path)
    yield it
    assert it.stop() == 0, it.stderr()


@pytest.fixture
def start(weir_binary, tmp_path):
    """start(*options, ...) -> a running `weir serve`, as Serve takes them; each ends well."""
    started = []

    def it(*options, **how):
        started.append(Serve(*options, folder=tmp_path, **how))
        return started[-1]
    yield it
    for each in started:
        assert each.stop() == 0, each.stderr()


@pytest.fixture(scope="session")
def weir_binary():
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is missing: build it, or set WEIR_BIN", returncode=3)
    return BINARY


@pytest.fixture
def start_weir(weir_binary, tmp_path):
    """Starts a weir: start_weir(upstream, *options, view=..., listen=..., ...), see Weir.

    At the end of the test all of them are gone; one that crashed or complained in a sanitizer's words
    fails the test, whatever else it proved.
    """
    started = []

    def start(upstream, *options, **how):
        folder = tmp_path / f"weir-{len(started) + 1}"
        folder.mkdir()
        weir = Weir(upstream, *options, folder=folder, **how)
        started.append(weir)
        return weir

    yield start
    problems = []
    for weir in started:
        try:
            code = weir.stop() if weir.returncode is None else weir.returncode
        except AssertionError as stuck:
            problems.append(str(stuck))
            continue
        finally:
            weir.kill()
        if code < 0 and code != weir.killed_by_the_test:
            problems.append(f"weir was ended by signal {-code}; it said: {weir.stderr()}")
        for word in ("Sanitizer", "runtime error:", "terminate called", "Assertion"):
            if word in weir.stderr():
                problems.append(f"weir said: {weir.stderr()}")
                break
    assert not problems, "\n".join(problems)


@pytest.fixture
def room():
    """A network namespace of the test's own; skips the test where none can be made."""
    if reason := network_room.why_unavailable():
        pytest.skip(reason)
    with NetworkRoom() as it:
        yield it


@pytest.fixture
def scene(start_weir, make_peer, request):
    """One weir between a scripted client and a scripted server; parametrise it with a view's name."""
    it = Scene(start_weir, make_peer, view=getattr(request, "param", "json"))
    yield it
    it.close()


@pytest.fixture
def listener():
    """A server's listening socket on 127.0.0.1."""
    it = Listener()
    yield it
    it.close()


@pytest.fixture
def make_peer():
    """Starts a peer: make_peer("client", "connect send:5 fin read", address=...), see Peer.

    Every socket is closed at the end of the test, so that no weir waits for a peer that nobody plays.
    """
    board = Board()
    peers = []

    def make(name, script, **how):
        peer = Peer(name, script, board=how.pop("board", board), **how)
        peers.append(peer)
        peer.start()
        return peer

    make.board = board
    yield make
    for peer in peers:
        peer.close()


@pytest.fixture
def host():
    """A host whose CNI plugins are ours."""
    if reason := cni_host.why_unavailable():
        pytest.skip(reason)
    with cni_host.CniHost(cni_host.OURS) as it:
        yield it
