"""The peers themselves, talking to each other without weir (and once through socat): a harness that
cannot tell FIN from RST would prove nothing about a proxy."""

import shutil
import subprocess
from pathlib import Path

import pytest

from deadline import wait_until
from peers import Board, Listener, Peer, PeerFailed, parse_size, random_bytes


def play(client, server, **client_options):
    """Runs both scripts against each other and returns both peers, finished."""
    listener = Listener()
    board = Board()
    at_server = Peer("server", server, listener=listener, board=board, seconds=10)
    at_client = Peer("client", client, address=listener.address, board=board, seconds=10, **client_options)
    at_server.start()
    at_client.start()
    try:
        return at_client.finish(), at_server.finish()
    finally:
        listener.close()


def test_sizes_are_powers_of_1024():
    assert [parse_size("7"), parse_size("64k"), parse_size("4M")] == [7, 65536, 4194304]


def test_a_stream_is_the_same_every_time():
    assert random_bytes("x", 10) == random_bytes("x", 10) != random_bytes("y", 10)


def test_bytes_arrive_and_fin_is_felt_as_fin():
    client, server = play("connect send:100k fin read", "accept read send:5 fin")
    assert server.received == client.sent and len(client.sent) == 100 * 1024
    assert client.received == server.sent and len(server.sent) == 5
    assert (client.felt, server.felt) == (["fin"], ["fin"])


def test_reset_is_felt_as_rst():
    client, server = play("connect send:10 await:read-10 reset", "accept read:10 set:read-10 read")
    assert server.felt == ["rst"]
    assert server.received == client.sent


def test_hangup_sees_a_reset_without_reading():
    client, _ = play("connect hangup read", "accept reset")
    assert client.felt == ["rst"]


def test_urgent_data_is_part_of_the_stream_of_a_reader_who_keeps_it_inline():
    client, server = play("connect send:3 urgent send:3 fin read", "accept read fin")
    # Without SO_OOBINLINE the reader misses the urgent byte: this is what weir must not do.
    assert len(client.sent) == 7
    assert server.received == client.sent[:3] + client.sent[4:]


def test_drip_sends_every_byte():
    client, server = play("connect drip:300 fin read", "accept echo fin")
    assert server.received == client.sent == client.received and len(client.sent) == 300


def test_flood_stops_at_a_reader_who_never_reads():
    client, _ = play("connect flood:64M set:full close", "accept await:full close")
    assert 0 < len(client.sent) < 64 * 1024 * 1024


def test_drained_waits_for_the_other_kernel():
    client, server = play("connect send:1M drained reset", "accept read")
    assert server.received == client.sent and server.felt == ["rst"]


def test_refused_is_felt_as_refused():
    listener = Listener()
    address = listener.address
    listener.close()
    client = Peer("client", "connect", address=address, seconds=5)
    client.start()
    with pytest.raises(PeerFailed, match="refused"):
        client.finish()
    assert client.felt == ["refused"]


def test_a_script_that_is_not_followed_fails_and_says_where():
    listener = Listener()
    server = Peer("server", "accept read:10", listener=listener, seconds=5)
    client = Peer("client", "connect send:4 close", address=listener.address, seconds=5)
    server.start()
    client.start()
    client.finish()
    with pytest.raises(PeerFailed, match="server in 'read:10', after 0 bytes sent, 4 received.*6 bytes short"):
        server.finish()
    listener.close()


def test_wait_until_fails_with_its_reason():
    with pytest.raises(AssertionError, match="pigs fly: no wings"):
        def no_wings():
            raise AssertionError("no wings")
        wait_until(no_wings, "pigs fly", seconds=0.01)


@pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed")
def test_peers_meet_through_a_relay_that_is_not_weir(tmp_path):
    listener = Listener()
    relay_path = str(tmp_path / "relay.sock")
    relay = subprocess.Popen(["socat", f"UNIX-LISTEN:{relay_path}", f"TCP:{listener.text}"])

    def listens():  # its file is there before it does; 10000: __SO_ACCEPTCON
        sockets = Path("/proc/net/unix").read_text(encoding="ascii", errors="replace").splitlines()
        return any(line.endswith(relay_path) and line.split()[3] == "00010000" for line in sockets)
    try:
        wait_until(listens, "socat listens")
        server = Peer("server", "accept echo fin", listener=listener, seconds=10)
        client = Peer("client", "connect send:300k fin read", address=relay_path, seconds=10)
        server.start()
        client.start()
        assert client.finish().received == client.sent == server.finish().received
    finally:
        relay.kill()
        relay.wait()
        listener.close()
