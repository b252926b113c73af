"""A proxy behind a load balancer: the client says who it is by a PROXY header (HAProxy's doc/proxy-protocol.txt)."""
import shutil
import socket
import struct
import subprocess

import pytest

from deadline import PATIENCE, wait_until
from session_log import wait_for_closed, wait_for_opened

V1 = b"PROXY TCP4 203.0.113.9 198.51.100.1 8080 443\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H4s4sHH", 12, socket.inet_aton("203.0.113.9"),
                                                    socket.inet_aton("198.51.100.1"), 8080, 443)


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_the_view_shows_the_client_behind_the_balancer_and_the_server_sees_the_stream_alone(scene, header):
    scene.open("--handshake", "proxy_protocol")
    scene.start_server("accept echo:8 read fin")
    with socket.create_connection(scene.weir.address, timeout=10 * PATIENCE) as client:
        client.sendall(header + b"question")
        assert client.recv(8, socket.MSG_WAITALL) == b"question"
        assert wait_for_opened(scene.weir).opened["client"] == "203.0.113.9:8080"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    scene.server.finish()
    assert scene.server.received == b"question"
    assert wait_for_closed(scene.weir)[1].cause == "client.fin"


def test_a_client_that_comes_directly_is_not_served_and_the_reason_is_told(scene):
    scene.open("--handshake", "proxy_protocol")
    with socket.create_connection(scene.weir.address, timeout=10 * PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    closed = wait_for_closed(scene.weir)[1].closed
    assert closed["cause"] == "client.error"
    assert 'it began with "GET / HTTP/1.1.." and not with a PROXY header' in closed["detail"]


def test_a_proxy_takes_it_up_and_lays_it_down_while_it_runs(start):
    serve = start()
    with socket.create_server(("127.0.0.1", 0)) as server:
        upstream = f"127.0.0.1:{server.getsockname()[1]}"
        created = serve.post("/api/v1/proxies", {"name": "web", "upstream": upstream})
        assert created.status == 201 and created.json["handshake"] == "none"
        port = int(created.json["listen"].rsplit(":", 1)[1])
        for wanted, header in [("proxy_protocol", V2), ("none", b"")]:
            assert serve.patch("/api/v1/proxies/web", {"handshake": wanted}).status == 200
            with socket.create_connection(("127.0.0.1", port), timeout=10 * PATIENCE) as client:
                client.sendall(header + b"question")
                accepted, _ = server.accept()
                with accepted:
                    assert accepted.recv(8, socket.MSG_WAITALL) == b"question"
        refused = serve.patch("/api/v1/proxies/web", {"handshake": "socks"})
        assert refused.status == 400
        assert 'handshake' in refused.text and "none or proxy_protocol" in refused.text


@pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed")
@pytest.mark.parametrize("word", ["send-proxy", "send-proxy-v2"])
def test_haproxy_in_front(scene, tmp_path, word):
    scene.open("--handshake", "proxy_protocol")
    with socket.create_server(("127.0.0.1", 0)) as picked:
        port = picked.getsockname()[1]
    host, weir_port = scene.weir.address
    config = tmp_path / "haproxy.cfg"
    config.write_text(f"""
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen it
  bind 127.0.0.1:{port}
  server weir {host}:{weir_port} {word}
""")
    scene.start_server("accept echo:8 read fin")
    with subprocess.Popen(["haproxy", "-db", "-q", "-f", config]) as haproxy:
        try:
            def connects():
                try:
                    return socket.create_connection(("127.0.0.1", port), timeout=10 * PATIENCE)
                except ConnectionRefusedError:
                    return None
            with wait_until(connects, "haproxy listens") as client:
                client.sendall(b"question")
                assert client.recv(8, socket.MSG_WAITALL) == b"question"
                name = client.getsockname()
            assert wait_for_opened(scene.weir).opened["client"] == f"{name[0]}:{name[1]}"
        finally:
            haproxy.terminate()
