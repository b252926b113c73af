"""Causes of lost time that real kernels and real programs make, each told by its name, and its look-alikes left alone."""
import contextlib
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from echo import receive
from server import Server
from why_process import Why, found, names

CORK = 3
QUESTION, ANSWER = b"q" * 30, b"a" * 30


def wait(seconds):
    threading.Event().wait(seconds)


def test_answers_that_are_corked_and_never_uncorked():
    def talk(client):
        while True:
            receive(client, len(QUESTION))
            client.setsockopt(socket.IPPROTO_TCP, CORK, 1)
            client.sendall(ANSWER[:10])
            client.sendall(ANSWER[10:])

    with Why(Server(talk).address) as why:
        with why.client() as client:
            for _ in range(12):
                client.sendall(QUESTION)
                receive(client, len(ANSWER))
        report = why.report()
    cork = found(report, "cork")
    assert cork and cork["side"] == "server" and cork["certainty"] == "proven", report
    assert cork["times"] >= 7 and cork["lost_ns"] > cork["times"] * 195e6


def test_requests_that_are_corked_are_the_clients():
    def talk(client):
        while True:
            receive(client, len(QUESTION))
            client.sendall(ANSWER)

    with Why(Server(talk).address) as why:
        with why.client() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
            client.setsockopt(socket.IPPROTO_TCP, CORK, 1)
            for _ in range(12):
                client.sendall(QUESTION[:10])
                client.sendall(QUESTION[10:])
                receive(client, len(ANSWER))
        report = why.report()
    cork = found(report, "cork")
    assert cork and cork["side"] == "client" and cork["times"] >= 6, report


def test_a_server_that_sleeps_200_ms_corks_nothing():
    def talk(client):
        while True:
            receive(client, len(QUESTION))
            wait(0.2)
            client.sendall(ANSWER)

    with Why(Server(talk).address) as why:
        with why.client() as client:
            for _ in range(12):
                client.sendall(QUESTION)
                receive(client, len(ANSWER))
        report = why.report()
    assert "cork" not in names(report), report
    assert found(report, "think")["times"] == 12


def test_connections_that_are_used_again_are_no_connection_per_exchange():
    def talk(client):
        while True:
            receive(client, len(QUESTION))
            client.sendall(ANSWER)

    with Why(Server(talk).address) as why:
        for _ in range(10):
            with why.client() as client:
                for _ in range(3):
                    client.sendall(QUESTION)
                    receive(client, len(ANSWER))
        report = why.report()
    assert "connection_per_exchange" not in names(report)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs `openssl`, which is not installed")
    folder = tmp_path_factory.mktemp("tls")
    # A key whose signature takes some milliseconds: a handshake that is worth a word, on a fast machine too.
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:4096", "-nodes", "-subj", "/CN=localhost", "-days", "2", "-keyout",
                    folder / "key", "-out", folder / "certificate"], check=True, capture_output=True)
    return folder


def tls_server(certificate, nodelay):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "certificate", certificate / "key")

    def talk(client):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay)
        with context.wrap_socket(client, server_side=True) as secured:
            while secured.recv(len(QUESTION)):
                secured.sendall(ANSWER)

    return Server(talk)


def tls_exchanges(why, sessions, exchanges):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for _ in range(sessions):
        with contextlib.suppress(OSError), why.client() as plain, context.wrap_socket(plain) as client:
            for _ in range(exchanges):
                client.sendall(QUESTION)
                assert client.recv(len(ANSWER)) == ANSWER


def test_a_tls_server_whose_first_answer_waits_for_the_ack_of_its_tickets(certificate):
    with Why(tls_server(certificate, 0).address) as why:
        tls_exchanges(why, sessions=6, exchanges=4)
        report = why.report()
    tickets = found(report, "tls_tickets")
    assert tickets and tickets["side"] == "server" and 3 <= tickets["times"] <= 6, report
    assert "split_write" not in names(report), "it is told by its own name"
    assert "TCP_NODELAY on the server" in tickets["fix"]


def test_a_tls_server_with_nodelay_has_a_handshake_alone(certificate):
    with Why(tls_server(certificate, 1).address) as why:
        tls_exchanges(why, sessions=6, exchanges=2)
        report = why.report()
    assert not names(report) & {"tls_tickets", "split_write", "tls_first_request", "tls_flight_split"}, report
    handshake = found(report, "tls_handshake")
    assert handshake and handshake["certainty"] == "shown" and handshake["times"] >= 3, report
