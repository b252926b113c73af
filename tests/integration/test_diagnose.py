"""`diagnose = true` in `weir serve`: reports, verdicts, open exchanges, events and metrics of real stalls."""
import json
import re
import socket
import threading
import time
from pathlib import Path

import pytest

from deadline import PATIENCE, wait_until
from echo import receive
from server import Server
from weir_process import run_weir

REQUEST, ANSWER = b"q" * 16, b"r" * 16
STALL = 0.03  # what the server takes, on purpose


class Thinker(Server):
    """A server that takes `think` seconds for each answer; while `goes_on` is not set it does not answer at all."""

    def __init__(self):
        self.think = STALL
        self.goes_on = threading.Event()
        self.goes_on.set()
        super().__init__(self.talk)

    def talk(self, client):
        while len(client.recv(len(REQUEST), socket.MSG_WAITALL)) == len(REQUEST):
            time.sleep(self.think)  # the stall that is to be told
            self.goes_on.wait()
            client.sendall(ANSWER)


@pytest.fixture
def server():
    thinker = Thinker()
    yield thinker
    thinker.goes_on.set()
    thinker.close()


def add_proxy(serve, server, name="db", **settings):
    made = serve.post("/api/v1/proxies", {"name": name, "upstream": server.address, **settings})
    assert made.status == 201, made.text
    return "127.0.0.1", int(made.json["listen"].rpartition(":")[2])


def connect(address):
    client = socket.create_connection(address, timeout=20 * PATIENCE)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def ask(client, times=1):
    for _ in range(times):
        client.sendall(REQUEST)
        receive(client, len(ANSWER))


def weir(serve, *words):
    return run_weir(*words, "--url", f"http://127.0.0.1:{serve.port}")


def report(serve, name="db"):
    answer = serve.get(f"/api/v1/proxies/{name}/report")
    assert answer.status == 200, answer.text
    return answer.json


def report_of(serve, exchanges, name="db"):
    return wait_until(lambda: (now := report(serve, name))["exchanges"] >= exchanges and now, "all exchanges are told")


def lost(found, cause, side):
    return sum(each["lost_ns"] for each in found["causes"] if (each["cause"], each["side"]) == (cause, side)) / 1e9


def test_a_report_says_who_lost_the_time(serve, server):
    address = add_proxy(serve, server, diagnose=True)
    with connect(address) as client:
        ask(client, 5)
    found = report_of(serve, 5)
    assert (found["sessions"], found["exchanges"]) == (1, 5)
    assert found["causes"][0]["cause"] == "think"
    assert found["causes"][0]["who"] == f"server {server.address}"
    assert lost(found, "think", "server") >= 5 * STALL
    assert set(found) >= {"sessions", "exchanges", "span_ns", "causes", "worst", "undecided", "unknown"}


def test_verdicts_are_kept_and_asked_for_from_one_on(serve, server):
    address = add_proxy(serve, server, diagnose=True)
    with connect(address) as client:
        ask(client, 5)
    report_of(serve, 5)

    def settled():  # a verdict may wait a second for what other sessions show
        answer = serve.get("/api/v1/verdicts?proxy=db").json
        thoughts = [each for each in answer["verdicts"] if each["cause"] == "think"]
        return len(thoughts) == 5 and (answer, thoughts)
    answer, thoughts = wait_until(settled, "five verdicts are kept")
    assert [each["id"] for each in thoughts] == sorted({each["id"] for each in thoughts})
    assert answer["last"] >= thoughts[-1]["id"] and answer["missed"] == 0
    first = thoughts[0]
    assert (first["proxy"], first["session"], first["exchange"], first["side"]) == ("db", 1, 1, "server")
    assert first["length_ns"] >= STALL * 1e9 and abs(first["time"] - time.time()) < 60 * PATIENCE
    later = serve.get(f"/api/v1/verdicts?after={first['id']}&limit=2").json["verdicts"]
    assert [each["id"] for each in later] == [first["id"] + 1, first["id"] + 2]
    assert serve.get(f"/api/v1/verdicts?after={answer['last']}").json["verdicts"] == []


def test_verdicts_are_events(serve, server):
    address = add_proxy(serve, server, diagnose=True)
    with connect(address) as client:
        ask(client, 3)
    report_of(serve, 3)

    def told():
        lines = serve.get("/api/v1/events?after=0&follow=false").text.split("\n\n")
        data = [json.loads(re.search("data: (.*)", each)[1]) for each in lines if "event: verdict\n" in each]
        return len(data) >= 3 and data
    events = wait_until(told, "three verdicts are told")
    assert {(each["proxy"], each["cause"], each["side"]) for each in events} >= {("db", "think", "server")}


def test_metrics_add_up_what_was_lost(serve, server):
    address = add_proxy(serve, server, diagnose=True)
    add_proxy(serve, server, "silent")
    with connect(address) as client:
        ask(client, 5)
    report_of(serve, 5)

    def told():
        text = serve.get("/metrics").text
        found = re.search(r'^weir_lost_seconds_total\{proxy="db",side="server",cause="think"\} (\S+)$', text, re.M)
        return found and float(found[1]) >= 5 * STALL and text
    text = wait_until(told, "what was lost is in the metrics")
    assert 'weir_exchange_seconds_count{proxy="db"} 5\n' in text
    assert 'weir_exchange_seconds_bucket{proxy="db",le="0.025"} 0\n' in text, "each took longer"
    assert 'weir_exchange_seconds_bucket{proxy="db",le="+Inf"} 5\n' in text
    assert not re.search('^weir_(lost|exchange)_.*silent', text, re.M)


def test_what_is_open_now_says_who_holds_it(serve, server):
    address = add_proxy(serve, server, diagnose=True)
    server.goes_on.clear()
    with connect(address) as client:
        client.sendall(REQUEST)

        def held():
            exchanges = serve.get("/api/v1/exchanges").json["exchanges"]
            return exchanges and exchanges[0]["held_ns"] > 10_000_000 and exchanges
        found, = wait_until(held, "one exchange is open")
        assert (found["proxy"], found["session"], found["exchange"]) == ("db", 1, 1)
        assert (found["segment"], found["side"]) == ("server_answers", "server")
        assert (found["bytes_upstream"], found["bytes_downstream"]) == (len(REQUEST), 0)
        assert found["age_ns"] >= found["held_ns"]
        assert (found["verdict"]["side"], found["verdict"]["certainty"]) == ("server", "likely"), "of one that lasts"
        assert serve.get("/api/v1/exchanges").json["proxies"] == ["db"]
        server.goes_on.set()
        assert client.recv(len(ANSWER))
    wait_until(lambda: serve.get("/api/v1/exchanges?proxy=db").json["exchanges"] == [], "nothing is open")


def test_switched_on_for_an_open_session_it_is_measured_from_there(serve, server):
    address = add_proxy(serve, server)
    with connect(address) as client:
        ask(client)
        refused = serve.get("/api/v1/proxies/db/report")
        assert refused.status == 409 and refused.json["field"] == "diagnose" and "diagnose to true" in refused.json["error"]
        time.sleep(0.3)  # what was before is nobody's
        assert serve.patch("/api/v1/proxies/db", {"diagnose": True}).json["diagnose"] is True
        ask(client, 3)
        found = report_of(serve, 2)  # the last one ends with what comes next
        assert found["sessions"] == 1
        assert lost(found, "think", "server") < 0.25, found
        assert found["idle_ns"] < 0.25e9
        assert found["causes"][0]["who"] == f"server {server.address}"
        # Off: nothing of it stays, and the session goes on.
        serve.patch("/api/v1/proxies/db", {"diagnose": False})
        assert serve.get("/api/v1/proxies/db/report").status == 409
        assert serve.get("/api/v1/verdicts").json["verdicts"] == []
        ask(client)
        serve.patch("/api/v1/proxies/db", {"diagnose": True})
        assert report(serve)["exchanges"] == 0


def test_a_file_switches_it_on(start, server, tmp_path):
    config = tmp_path / "weir.toml"
    config.write_text(f'[[proxies]]\nname = "db"\nlisten = "127.0.0.1:0"\nupstream = "{server.address}"\ndiagnose = true\n')
    serve = start("-c", config)
    assert serve.get("/api/v1/proxies/db").json["diagnose"] is True
    assert report(serve)["exchanges"] == 0


@pytest.mark.parametrize(("path", "status", "field"), [
    ("verdicts?limit=0", 400, "limit"), ("verdicts?limit=-1", 400, "limit"), ("verdicts?limit=99999999999999999999", 400, "limit"),
    ("verdicts?limit=4097", 400, "limit"), ("verdicts?after=x", 400, "after"), ("verdicts?after=", 400, "after"),
    ("verdicts?after=1e3", 400, "after"), ("verdicts?colour=red", 400, "colour"), ("verdicts?proxy=gone", 404, None),
    ("verdicts?proxy=off", 409, "diagnose"), ("exchanges?limit=0", 400, "limit"), ("exchanges?after=1", 400, "after"),
    ("exchanges?proxy=gone", 404, None), ("exchanges?proxy=off", 409, "diagnose"), ("proxies/gone/report", 404, None),
    ("proxies/off/report", 409, "diagnose"),
    ("proxies/off/report?columns=39", 400, "columns"), ("proxies/off/report?wide=1", 400, "wide")])
def test_what_makes_no_sense_is_refused_by_name(serve, server, path, status, field):
    add_proxy(serve, server, "off")
    answer = serve.get("/api/v1/" + path)
    assert (answer.status, answer.json.get("field")) == (status, field), answer.text


def test_nobody_is_observed_while_it_is_off(serve, server):
    tasks = Path(f"/proc/{serve.process.pid}/task")
    threads = len(list(tasks.iterdir()))
    add_proxy(serve, server, diagnose=True)
    assert len(list(tasks.iterdir())) == threads + 1
    assert serve.delete("/api/v1/proxies/db").status == 204
    wait_until(lambda: len(list(tasks.iterdir())) == threads, "the observer has gone with the last proxy that wanted it")


def test_ps_says_which_request_hangs_and_who_holds_it(serve, server):
    address = add_proxy(serve, server, diagnose=True)
    server.goes_on.clear()
    with connect(address) as client:
        client.sendall(REQUEST)
        wait_until(lambda: any(each["held_ns"] > 10_000_000 for each in serve.get("/api/v1/exchanges").json["exchanges"]),
                   "it hangs")
        shown = weir(serve, "ps")
        row, = shown.stdout.splitlines()
        cells = row.split("\t")  # age, proxy, session, client, sent, answered, held by, for, verdict
        assert (cells[1:3], cells[3]) == (["db", "1"], f"127.0.0.1:{client.getsockname()[1]}")
        assert cells[6] == "server" and "likely" in cells[8], row
        assert json.loads(weir(serve, "ps", "--proxy", "db", "--json").stdout)["exchanges"][0]["session"] == 1


def test_ps_says_how_to_begin_where_nothing_is_diagnosed(serve, server):
    add_proxy(serve, server)
    assert "weir proxy set NAME diagnose=true" in weir(serve, "ps").stdout
    refused = weir(serve, "ps", "--proxy", "db")
    assert refused.returncode == 1 and "is not diagnosed" in refused.stderr


def test_report_prints_what_weir_why_would(serve, server):
    address = add_proxy(serve, server, diagnose=True)
    with connect(address) as client:
        ask(client, 5)
    found = report_of(serve, 5)
    text = weir(serve, "report", "db").stdout
    assert text.startswith("1 session, 5 exchanges in ") and f"server {server.address}" in text and "think: took" in text, text
    assert json.loads(weir(serve, "report", "db", "--json").stdout)["causes"] == found["causes"]
    assert weir(serve, "report", "gone").returncode == 1
