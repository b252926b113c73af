"""`weir why FILE`: captures made packet by packet, and of real connections on loopback."""
import contextlib
import fcntl
import gzip
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import termios
import threading
import time

import pytest

from capture_writer import ACK, QUERY, RST, SYN, Pcap, Talk, ethernet, ipv4, story, tcp_segment
from deadline import PATIENCE
from weir_process import BINARY, run_weir

CLIENT, SERVER = ("10.0.0.1", 40000), ("10.0.0.9", 5432)


def report_of(*words, code=0):
    ran = run_weir("why", "--json", *map(str, words))
    assert ran.returncode == code, ran.stderr
    return json.loads(ran.stdout)


def causes(report):
    return {each["cause"]: each for each in report["causes"]}


@pytest.fixture
def talk(tmp_path):
    """A connection in a capture, opened at 10.0 s."""
    return Talk(Pcap(tmp_path / "a.pcap"), CLIENT, SERVER).opens(10.0)


def test_the_packets_of_the_story_name_the_relay_the_cut_and_the_time(tmp_path):
    report = report_of(story(tmp_path / "story.pcap"))
    assert report["sessions"] == 2 and report["exchanges"] == 0 and report["unanswered"] == 2
    split, = report["causes"]
    assert split["cause"] == "split_write" and split["certainty"] == "proven" and split["side"] == "client"
    assert split["who"] == "client 10.67.15.212" and split["towards"] == "10.13.144.139:5432"
    assert split["lost_ns"] == 40_804_000 and split["share"] == 1 and "TCP_NODELAY" in split["fix"]
    evidence = report["worst"][0]["evidence"]
    assert evidence["cut"] == 128 and evidence["behind"] == 168
    assert evidence["ack_ns"] == 40_787_000 and evidence["left_after_ack_ns"] == 17_000
    text = run_weir("why", str(tmp_path / "story.pcap")).stdout
    assert "client 10.67.15.212" in text and "towards 10.13.144.139:5432" in text and "40.8ms   100.0%" in text
    assert "the cut is after byte 128" in text


def test_a_second_piece_that_did_not_wait_for_the_ack_is_no_split_write(talk):
    talk.send(11, 0, b"a" * 100).ack(11.04, 1).send(11.045, 0, b"b" * 100).send(11.046, 1, b"answer").ack(11.047, 0)
    talk.send(12, 0, b"a" * 100).send(12.041, 0, b"b" * 100).ack(12.044, 1).send(12.045, 1, b"answer").ack(12.046, 0)
    talk.send(13, 0, b"a" * 100).ack(13.0002, 1).send(13.04, 0, b"b" * 100).send(13.041, 1, b"answer").ack(13.042, 0)
    found = causes(report_of(talk.pcap.write()))
    assert "split_write" not in found, found


def test_where_the_capture_was_made_shows_in_the_acks_and_is_taken_off(tmp_path):
    """Beside the server, 20 ms from the client: the second piece comes a round trip after the ACK."""
    talk = Talk(Pcap(tmp_path / "a.pcap"), CLIENT, SERVER)
    talk.send(10, 0, flags=SYN)
    talk.next[0] += 1
    talk.send(10.0001, 1, flags=SYN | ACK)
    talk.next[1] += 1
    talk.ack(10.0201, 0)
    talk.send(11, 0, b"a" * 100).ack(11.041, 1).send(11.0612, 0, b"b" * 100).send(11.0613, 1, b"answer")
    split = causes(report_of(talk.pcap.write()))["split_write"]
    assert split["certainty"] == "proven" and split["lost_ns"] == 61_200_000


def test_a_response_in_two_pieces_is_the_servers(talk):
    talk.send(11, 0, b"ask").send(11.001, 1, b"head").ack(11.042, 0).send(11.04202, 1, b"body").ack(11.043, 0)
    split = causes(report_of(talk.pcap.write()))["split_write"]
    assert split["side"] == "server" and split["who"] == "server 10.0.0.9:5432" and split["certainty"] == "proven"


def test_think_is_the_servers(talk):
    talk.send(11, 0, b"ask").ack(11.04, 1).send(11.2, 1, b"answer")
    report = report_of(talk.pcap.write())
    assert list(causes(report)) == ["think"] and report["causes"][0]["lost_ns"] == 200_000_000


def test_a_request_that_was_lost_behind_the_capture_is_the_paths(talk):
    talk.send(11, 0, b"ask").send(11.203, 0, b"ask", back=3).send(11.224, 1, b"answer")
    loss = causes(report_of(talk.pcap.write()))["loss"]
    assert loss["side"] == "path.server" and loss["certainty"] == "proven" and "203ms" in loss["text"]


def test_a_hole_that_is_filled_late_was_lost_before_the_capture(talk):
    talk.send(11, 0, b"ask")
    talk.send(11.001, 1, b"x" * 1460, lost=True).send(11.0011, 1, b"y" * 1460).send(11.0412, 1, b"x" * 1460, back=2920)
    lost = causes(report_of(talk.pcap.write()))["peer_loss"]
    assert lost["side"] == "path.server" and lost["certainty"] == "proven"


def test_a_client_that_does_not_read_shows_a_window_of_zero(talk):
    talk.send(11, 0, b"ask").send(11.001, 1, b"x" * 1460).ack(11.002, 0, window=0).ack(11.302, 0).send(11.303, 1, b"rest")
    full = causes(report_of(talk.pcap.write()))["not_reading"]
    assert full["side"] == "client" and full["certainty"] == "proven" and full["who"] == "client 10.0.0.1"


def test_connection_requests_that_nobody_or_somebody_late_answers(tmp_path):
    pcap = Pcap(tmp_path / "a.pcap")
    late = Talk(pcap, CLIENT, SERVER)
    late.send(10, 0, flags=SYN).send(11, 0, flags=SYN).opens(13)
    never = Talk(pcap, ("10.0.0.2", 40000), SERVER)
    for second in (20, 21, 23):
        never.send(second, 0, flags=SYN)
    refused = Talk(pcap, ("10.0.0.3", 40000), SERVER)
    refused.send(30, 0, flags=SYN).send(30.001, 1, flags=RST | ACK)
    found = causes(report_of(pcap.write()))
    assert found["syn_lost"]["certainty"] == "proven" and found["syn_lost"]["times"] == 2
    assert found["syn_lost"]["lost_ns"] >= 6_000_000_000 and found["syn_lost"]["side"] == "path.server"
    assert found["refused"]["side"] == "server" and found["refused"]["who"] == "server 10.0.0.9:5432"


def test_both_connections_of_a_relay_are_told_once(tmp_path):
    """The inner one thinks for 50 ms, the relay itself takes 5 ms each way."""
    pcap = Pcap(tmp_path / "a.pcap")
    outer = Talk(pcap, CLIENT, ("10.0.0.5", 8888)).opens(10)
    inner = Talk(pcap, ("10.0.0.5", 50000), SERVER).opens(10.001)
    for start in range(11, 21):
        outer.send(start, 0, QUERY)
        inner.send(start + 0.005, 0, QUERY).send(start + 0.055, 1, b"one row of it")
        outer.send(start + 0.060, 1, b"one row of it")
    rows = {each["who"]: each for each in report_of(pcap.write())["causes"] if each["cause"] == "think"}
    assert set(rows) == {"server 10.0.0.9:5432", "server 10.0.0.5:8888"}
    assert rows["server 10.0.0.9:5432"]["lost_ns"] == 500_000_000
    assert rows["server 10.0.0.5:8888"]["lost_ns"] == 100_000_000, "and not what the server took"
    assert abs(sum(each["share"] for each in rows.values()) - 1) < 0.01


def test_rotated_files_are_one_capture_in_any_order(tmp_path):
    first, second = Pcap(tmp_path / "0"), Pcap(tmp_path / "1")
    talk = Talk(first, CLIENT, SERVER).opens(10)
    talk.send(11, 0, b"a" * 100).ack(11.0405, 1)
    talk.pcap = second
    talk.send(11.0405, 0, b"b" * 100).send(11.041, 1, b"answer").closes(12)
    report = report_of(second.write(), first.write())
    assert report["sessions"] == 1 and causes(report)["split_write"]["certainty"] == "proven"
    assert [each["packets"] for each in report["capture"]["files"]] == [5, 5]


def test_vlans_and_text_that_is_cut_off(tmp_path):
    pcap = Pcap(tmp_path / "a.pcap", snaplen=62)
    tags = b"\x88\xa8\x00\x05\x81\x00\x00\x06"

    def packet(seconds, source, target, sequence, ack, payload=b""):
        pcap.add(seconds, ethernet(ipv4(source[0], target[0], tcp_segment(source[1], target[1], sequence, ack, payload)), tags))

    packet(10, CLIENT, SERVER, 1, 1, b"a" * 100)
    packet(10.0405, SERVER, CLIENT, 1, 101)
    packet(10.0405, CLIENT, SERVER, 101, 1, b"b" * 200)
    report = report_of(pcap.write())
    assert causes(report)["split_write"]["lost_ns"] == 40_500_000 and report["worst"][0]["evidence"]["behind"] == 200
    assert report["capture"]["unseen_bytes"] == 300


def test_a_damaged_file_is_read_as_far_as_it_goes(tmp_path, talk):
    talk.send(11, 0, b"ask").send(11.2, 1, b"answer")
    path = talk.pcap.write()
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    ran = run_weir("why", "--json", str(path))
    assert ran.returncode == 0 and re.search(r"a\.pcap: .*cut off behind packet 4, at byte \d+", ran.stderr), ran.stderr
    assert "behind packet 4" in json.loads(ran.stdout)["capture"]["files"][0]["damage"]
    assert "behind packet 4" in run_weir("why", str(path)).stdout
    path.write_bytes(whole + b"\xff" * 500)
    assert causes(report_of(path))["think"]["lost_ns"] == 200_000_000
    path.write_bytes(whole[:30])
    ran = run_weir("why", str(path))
    assert ran.returncode == 1 and ran.stdout == "" and "behind packet 0" in ran.stderr


def why_stdin(stdin):
    return subprocess.run([str(BINARY), "why", "-"], stdin=stdin, capture_output=True, text=True, timeout=10 * PATIENCE,
                          check=False)


def test_what_is_no_capture_gets_one_sentence(tmp_path):
    (tmp_path / "empty.pcap").touch()
    (tmp_path / "text").write_text("a capture? no\n" * 10)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(b"x" * 1000))
    wlan = Pcap(tmp_path / "wlan.pcap", link=105)
    wlan.write()
    for name, complaint in [("empty.pcap", "empty.pcap: it is empty"), ("text", "text: it is no capture"),
                            ("packed.gz", "unpack it: zcat"), (".", "it is a directory"),
                            ("gone.pcap", "No such file or directory"), ("wlan.pcap", "link type IEEE802_11")]:
        ran = run_weir("why", str(tmp_path / name))
        assert ran.returncode == 1 and complaint in ran.stderr and ran.stderr.count("\n") == 1, ran.stderr
    ran = why_stdin(subprocess.DEVNULL)
    assert ran.returncode == 1 and "-: it is empty" in ran.stderr


def test_stdin_and_a_fifo_are_read_to_their_end(tmp_path):
    path = story(tmp_path / "story.pcap")
    with path.open("rb") as file:
        ran = why_stdin(file)
    assert ran.returncode == 0 and "split_write" in ran.stdout
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    threading.Thread(target=lambda: fifo.write_bytes(path.read_bytes()), daemon=True).start()
    assert causes(report_of(fifo))["split_write"]["times"] == 1


def test_a_signal_ends_the_reading_of_a_pipe_and_the_report_comes(tmp_path):
    path = story(tmp_path / "story.pcap")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([str(BINARY), "why", "-"], **pipes) as process:
        process.stdin.write(path.read_bytes())
        process.stdin.flush()
        deadline = time.monotonic() + 20 * PATIENCE
        while unread(process.stdin.fileno()) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out = process.stdout.read().decode()  # its stdin is still open
        process.stdin.close()
        assert process.wait(20 * PATIENCE) == 0 and "split_write" in out


def unread(pipe):
    """Bytes in a pipe that its reader has not taken."""
    size = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, size)
    return int.from_bytes(size, "little")


def test_scripts_see_how_slow_it_was_and_what_does_not_fit(tmp_path):
    path = str(story(tmp_path / "story.pcap"))
    assert run_weir("why", "--fail-over", "30ms", path).returncode == 3
    assert run_weir("why", "--fail-over", "50ms", path).returncode == 0
    for words, complaint in [(["--fault", "latency latency=1ms", path], "--fault is for a live service"),
                             (["--once", path], "--once is for a live service"), (["--for", "1s", path], "--for is for"),
                             (["--max-sessions", "3", path], "--max-sessions is for"),
                             (["--fail-over", "5", path], "--fail-over"), (["8888", path], "8888 is no capture"),
                             (["8888", "db:1", path], "8888 is no capture"), (["-", "-"], "once only")]:
        ran = run_weir("why", *words)
        assert ran.returncode == 2 and complaint in ran.stderr, ran.stderr


@pytest.fixture
def capturing(tmp_path):
    """Starts tcpdump on loopback for one port; the function it returns ends it and gives the file."""
    if shutil.which("tcpdump") is None or os.geteuid() != 0:
        pytest.skip("captures are made by tcpdump, as root")
    with contextlib.ExitStack() as ends:
        def start(port, *options):
            path = tmp_path / "real.pcap"
            # With --immediate-mode its buffer is cut into slots of a snapshot's length: 2 MiB are eight packets of the
            # 256 KiB that it takes by default, and on a busy machine it misses some.
            process = subprocess.Popen(["tcpdump", "-Z", "root", "-U", "--immediate-mode", "-s", "2000", "-B", "16384", "-w",
                                        str(path), *options, "tcp", "port", str(port)], stderr=subprocess.PIPE, text=True)
            ends.callback(process.wait)
            ends.callback(process.kill)
            line = process.stderr.readline()
            while "listening on" not in line:
                if "permi" in line.lower() or not line:
                    pytest.skip(f"tcpdump captures nothing here: {line}")
                line = process.stderr.readline()

            def stop(exchanges):
                """Once so many exchanges stand in the file."""
                deadline = time.monotonic() + 20 * PATIENCE
                while time.monotonic() < deadline and (path.stat().st_size == 0 or report_of(path)["exchanges"] < exchanges):
                    time.sleep(0.05)
                process.send_signal(signal.SIGINT)
                process.wait()
                return path
            return stop
        yield start


@pytest.mark.parametrize("interface", ["lo", "any"])
def test_a_real_split_write_is_proven_and_one_that_thinks_as_long_is_none(capturing, interface):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stop = capturing(listening.getsockname()[1], "-i", interface)

        def serve():
            with contextlib.suppress(OSError):
                client, _ = listening.accept()
                with client:
                    for number in range(20):
                        if len(client.recv(30, socket.MSG_WAITALL)) < 30:
                            return
                        if number >= 10:
                            threading.Event().wait(0.041)
                        client.sendall(b"answer")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with socket.create_connection(listening.getsockname(), timeout=10 * PATIENCE) as client:
            for number in range(20):
                if number < 10:
                    client.sendall(b"a" * 10)
                    client.sendall(b"b" * 20)
                else:
                    client.sendall(b"c" * 30)
                assert client.recv(6, socket.MSG_WAITALL)
        thread.join(10 * PATIENCE)
    report = report_of(stop(20))
    found = causes(report)
    assert report["sessions"] == 1 and report["exchanges"] == 20
    assert report["capture"]["missed_bytes"] == 0
    assert found["split_write"]["certainty"] == "proven" and 5 <= found["split_write"]["times"] <= 10
    assert found["think"]["lost_ns"] >= 10 * 40_000_000, report
