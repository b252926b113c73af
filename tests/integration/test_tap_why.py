"""`weir tap --why` and `--slow`: verdicts where they happened, and only the exchanges that were slow."""
import re
import socket
import threading
import time

import pytest

from deadline import wait_until
from echo import receive
from server import Server
from weir_process import one_sentence, run_weir

STALL = 0.06
LATE = 0.7


@pytest.fixture
def thinker():
    """A server that answers "slow" after 60 ms, "late" after 700 ms, and all else at once."""
    def talk(client):
        while request := client.recv(64):
            time.sleep({b"slow": STALL, b"late": LATE}.get(request, 0.0))  # the stall that is to be told
            client.sendall(b"answer to " + request)

    return Server(talk).address


def ask(client, request):
    client.sendall(request)
    answer = b"answer to " + request
    assert receive(client, len(answer)) == answer


def talk_to(weir, *requests):
    with socket.create_connection(("127.0.0.1", weir.port), timeout=20) as client:
        for request in requests:
            ask(client, request)


def test_json_has_the_verdict_behind_what_ended_the_pause(start_weir, thinker):
    weir = start_weir(thinker, "--why", view="json")
    talk_to(weir, b"quick", b"slow", b"quick")
    wait_until(lambda: any(each["event"] == "closed" for each in weir.events()), "the session is over")
    events = weir.events()
    verdict, = (each for each in events if each["event"] == "verdict" and each["cause"] == "think"
                and each["length_ns"] > STALL * 9e8)
    before = events[events.index(verdict) - 1]
    assert before["event"] in ("chunk", "verdict")
    answer = next(each for each in events if each.get("text") == "answer to slow")
    later = next(each for each in events[events.index(answer):] if each.get("direction") == "upstream")
    assert events.index(answer) < events.index(verdict) < events.index(later)
    assert (verdict["side"], verdict["exchange"]) == ("server", 2)
    assert verdict["who"] == f"server {thinker}" and verdict["evidence"]["think_ns"] > 0


@pytest.mark.parametrize("option", ["--why", "--slow=1ms"])
def test_no_byte_of_bulk_is_missing_in_the_view(start_weir, option):
    """A diagnosis by itself is content with how many bytes there were; a view is not."""
    bulk = bytes(range(256)) * (64 << 10)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        weir = start_weir(f"127.0.0.1:{listener.getsockname()[1]}", option, view="json")
        with socket.create_connection(("127.0.0.1", weir.port), timeout=20) as client:
            client.sendall(b"ask")
            server, _ = listener.accept()
            with server:
                assert server.recv(64) == b"ask"
                time.sleep(0.01)  # the slow answer
                writer = threading.Thread(target=server.sendall, args=(bulk,), daemon=True)
                writer.start()
                assert receive(client, len(bulk)) == bulk
                writer.join()
        wait_until(lambda: any(each["event"] == "closed" for each in weir.events()), "the session is over")
    answer = [each for each in weir.events() if each["event"] == "chunk" and each["direction"] == "downstream"]
    assert sum(each["bytes"] for each in answer) == len(bulk)
    assert [each["offset"] for each in answer] == [sum(each["bytes"] for each in answer[:i]) for i in range(len(answer))]


def test_text_has_a_line_for_it(start_weir, thinker):
    weir = start_weir(thinker, "--why", view="text")
    talk_to(weir, b"slow")
    text = wait_until(lambda: " closed by " in (now := weir.lines()) and now, "the session is over")
    assert re.search(r"^[\d:.]+ +#1 lost \d+\.?\d*ms to server \S+: think \(likely\): took its time to answer$", text, re.M), text


def test_slow_shows_only_exchanges_that_took_longer(start_weir, thinker):
    weir = start_weir(thinker, "--slow", "500ms", view="json")
    talk_to(weir, b"quick1", b"quick2")
    talk_to(weir, b"quick3", b"late", b"quick4")
    wait_until(lambda: any(each["event"] == "closed" for each in weir.events()), "the slow session is over")
    shown = [(each["session"], each["event"], each.get("text")) for each in weir.events() if "quick" not in each.get("text", "")]
    assert shown == [(2, "opened", None), (2, "chunk", "late"), (2, "chunk", "answer to late"), (2, "closed", None)]


@pytest.mark.parametrize(("options", "words"), [
    (["--why", "--show", "none"], ["--why", "no verdict"]), (["--why", "--show", "raw"], ["--why", "no verdict"]),
    (["--slow", "soon"], ["--slow", "soon"]), (["--slow", "10ms", "--show", "none"], ["--slow", "no exchange"])])
def test_what_makes_no_sense_is_refused(options, words):
    ended = run_weir("tap", *options, "0", "127.0.0.1:1")
    assert ended.returncode == 2
    one_sentence(ended.stderr, *words)
