"""toxiproxy's HTTP contract, to the byte, over `weir serve`."""

import json
import re
import socket

import pytest

from deadline import wait_until
from serve_process import Serve


@pytest.fixture
def serve(weir_binary, tmp_path):
    it = Serve(folder=tmp_path)
    yield it
    assert it.stop() == 0, it.stderr()


def make(serve, name="db", upstream="127.0.0.1:1", **more):
    answer = serve.post("/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": upstream, **more})
    assert answer.status == 201, answer.text
    return answer.json


def address(proxy):
    host, _, port = proxy["listen"].rpartition(":")
    return "127.0.0.1" if host == "[::]" else host, int(port)


def test_version(serve):
    answer = serve.get("/version")
    assert answer.text == '{"version": "2.12.0"}\n'
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert "x-weir-version" in answer.headers


def test_a_new_proxy(serve):
    answer = serve.post("/proxies", '{"name":"db","upstream":"somehost:12345","listen":"localhost:0","enabled":null}')
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    port = answer.json["listen"].rpartition(":")[2]
    assert answer.text == (f'{{"name":"db","listen":"127.0.0.1:{port}","upstream":"somehost:12345","enabled":true,'
                           '"toxics":[]}')
    assert serve.get("/proxies/db").text == answer.text
    assert serve.get("/proxies").text == f'{{"db":{answer.text}}}'


def test_proxies_are_sorted_by_name(serve):
    for name in ("c", "a", "b"):
        make(serve, name)
    assert list(serve.get("/proxies").json) == ["a", "b", "c"]


@pytest.mark.parametrize("method,path,body,status,error", [
    ("POST", "/proxies", "", 400, "bad request body: EOF"),
    ("POST", "/proxies", "{", 400, "bad request body: unexpected EOF"),
    ("POST", "/proxies", "null", 400, "missing required field: name"),
    ("POST", "/proxies", "{}", 400, "missing required field: name"),
    ("POST", "/proxies", {"name": "x"}, 400, "missing required field: upstream"),
    ("POST", "/proxies", {"name": "db", "upstream": "x"}, 409, "proxy already exists"),
    ("POST", "/populate", [{"name": "x", "upstream": "y"}, {"name": "z"}], 400,
     "missing required field: upstream at proxy 2"),
    ("GET", "/proxies/nope", None, 404, "proxy not found"),
    ("DELETE", "/proxies/nope", None, 404, "proxy not found"),
    ("POST", "/proxies/nope/toxics", "rubbish", 404, "proxy not found"),
    ("GET", "/proxies/db/toxics/nope", None, 404, "toxic not found"),
    ("POST", "/proxies/db/toxics", {"type": "latency", "stream": ""}, 400,
     "stream was invalid, can be either upstream or downstream"),
    ("POST", "/proxies/db/toxics", {"type": "rubbish"}, 400, "invalid toxic type"),
    ("POST", "/proxies/db/toxics", {"type": "stall"}, 400, "invalid toxic type"),
])
def test_errors(serve, method, path, body, status, error):
    make(serve)
    answer = serve.ask(method, path, body)
    assert answer.status == status
    assert answer.text == json.dumps({"error": error, "status": status}, separators=(",", ":")) + "\n"
    assert re.fullmatch("[0-9a-v]{20}", answer.headers["x-toxiproxy-request-id"])


def test_a_taken_port_is_told_in_gos_words(serve):
    listen = make(serve)["listen"]
    answer = serve.post("/proxies", {"name": "other", "listen": listen, "upstream": "x"})
    assert answer.status == 500
    assert answer.json["error"] == f"listen tcp {listen}: bind: address already in use"
    assert "other" not in serve.get("/proxies").json


@pytest.mark.parametrize("method,path", [("PUT", "/proxies"), ("HEAD", "/proxies"), ("OPTIONS", "/proxies/db"),
                                         ("GET", "/reset"), ("GET", "/populate"), ("POST", "/version"),
                                         ("PUT", "/proxies/db/toxics/x"), ("DELETE", "/proxies/db/toxics")])
def test_wrong_methods(serve, method, path):
    answer = serve.ask(method, path)
    assert (answer.status, answer.text) == (405, "")


@pytest.mark.parametrize("path", ["/", "/nothing", "/proxies/", "/proxies/db/", "/proxies/db/toxics/", "/toxics"])
def test_unknown_paths(serve, path):
    answer = serve.get(path)
    assert (answer.status, answer.text) == (404, "404 page not found\n")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "x-toxiproxy-request-id" not in answer.headers


def test_browsers_are_refused_and_nothing_is_done(serve):
    for headers in ({"User_Agent": "Mozilla/5.0"}, {"Origin": "http://evil.example"}, {"Origin": "null"},
                    {"Origin": "http://evil.example", "Host": "evil.example"}, {"Sec_Fetch_Site": "same-origin"}):
        answer = serve.post("/proxies", {"name": "x", "upstream": "y"}, **headers)
        assert (answer.status, answer.text) == (403, "User agent not allowed\n")
    assert serve.get("/proxies").json == {}
    assert serve.get("/proxies", Host="toxiproxy:8474").status == 200


def test_a_toxics_life(serve):
    make(serve)
    answer = serve.post("/proxies/db/toxics", {"type": "latency", "attributes": {"latency": 100}})
    assert answer.status == 200
    assert answer.text == ('{"attributes":{"latency":100,"jitter":0},"name":"latency_downstream","type":"latency",'
                           '"stream":"downstream","toxicity":1}')
    assert serve.post("/proxies/db/toxics", {"type": "slicer", "name": "latency_downstream"}).status == 409
    changed = serve.patch("/proxies/db/toxics/latency_downstream", {"toxicity": 0.2, "attributes": {"jitter": 7}})
    assert changed.json["attributes"] == {"latency": 100, "jitter": 7}
    assert '"toxicity":0.2}' in changed.text
    assert serve.post("/proxies/db/toxics/latency_downstream", {"attributes": None}).text == changed.text
    up = serve.post("/proxies/db/toxics", {"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 5}})
    assert [each["name"] for each in serve.get("/proxies/db/toxics").json] == ["bandwidth_upstream", "latency_downstream"]
    assert serve.get("/proxies/db/toxics/bandwidth_upstream").text == up.text
    gone = serve.delete("/proxies/db/toxics/latency_downstream")
    assert (gone.status, gone.text) == (204, "")
    assert serve.delete("/proxies/db/toxics/latency_downstream").status == 404
    assert serve.post("/reset").status == 204
    assert serve.get("/proxies/db/toxics").text == "[]"


def test_every_toxic_type(serve):
    make(serve)
    attributes = {"latency": {"latency": 1, "jitter": 2}, "bandwidth": {"rate": 3}, "slow_close": {"delay": 4},
                  "timeout": {"timeout": 5}, "reset_peer": {"timeout": 6},
                  "slicer": {"average_size": 64, "size_variation": 64, "delay": 10}, "limit_data": {"bytes": 7},
                  "noop": {}}
    for kind, values in attributes.items():
        answer = serve.post("/proxies/db/toxics", {"type": kind, "attributes": values})
        assert answer.status == 200, answer.text
        assert answer.json["attributes"] == values
        assert list(answer.json["attributes"]) == list(values)
    assert len(serve.get("/proxies/db").json["toxics"]) == len(attributes)


@pytest.mark.parametrize("attributes", [{"latency": 100.5}, {"latency": "100"}, {"latency": True}])
def test_attributes_are_integers(serve, attributes):
    make(serve)
    answer = serve.post("/proxies/db/toxics", {"type": "latency", "attributes": attributes})
    assert answer.status == 400
    assert answer.json["error"].startswith("bad request body: json: cannot unmarshal ")
    assert serve.get("/proxies/db/toxics").json == []


@pytest.mark.parametrize("toxic", [{"type": "bandwidth", "attributes": {"rate": -1}},
                                   {"type": "slicer", "attributes": {"average_size": 1, "size_variation": 2}}])
def test_what_kills_toxiproxy_is_refused(serve, toxic):
    make(serve)
    assert serve.post("/proxies/db/toxics", toxic).status == 400


def test_update_and_disable(serve, listener):
    proxy = make(serve, upstream=f"127.0.0.1:{listener.address[1]}")
    with socket.create_connection(address(proxy), timeout=10) as client:
        disabled = serve.post("/proxies/db", {"enabled": False, "listen": None})
        assert disabled.json["enabled"] is False
        assert disabled.json["listen"] == proxy["listen"]
        assert client.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address(proxy), timeout=10)
    serve.post("/proxies/db/toxics", {"type": "noop"})
    enabled = serve.patch("/proxies/db", {"enabled": True})
    assert enabled.json["listen"] == proxy["listen"]
    assert len(enabled.json["toxics"]) == 1
    socket.create_connection(address(proxy), timeout=10).close()
    moved = serve.post("/proxies/db", {"upstream": "elsewhere:1", "name": "ignored"})
    assert (moved.json["name"], moved.json["upstream"]) == ("db", "elsewhere:1")


def test_populate(serve):
    first = serve.post("/populate", [{"name": "b", "listen": "127.0.0.1:0", "upstream": "x:1"},
                                     {"name": "a", "listen": "127.0.0.1:0", "upstream": "x:2"}])
    assert first.status == 201
    assert [each["name"] for each in first.json["proxies"]] == ["b", "a"]
    assert list(first.json) == ["proxies"]
    listen = first.json["proxies"][0]["listen"]
    serve.post("/proxies/b/toxics", {"type": "noop"})
    again = serve.post("/populate", [{"name": "b", "listen": listen, "upstream": "x:1", "enabled": False}]).json
    assert again["proxies"][0]["enabled"] is True
    assert len(again["proxies"][0]["toxics"]) == 1
    other = serve.post("/populate", [{"name": "b", "listen": listen, "upstream": "y:1"}]).json
    assert other["proxies"][0]["toxics"] == []
    assert serve.post("/populate", {}).status == 400
    stopped = serve.post("/populate", [{"name": "n", "listen": "127.0.0.1:0", "upstream": "x"},
                                       {"name": "m", "listen": listen, "upstream": "x"}])
    assert stopped.status == 500
    assert [each["name"] for each in stopped.json["proxies"]] == ["n"]


def test_all_addresses(serve):
    proxy = serve.post("/proxies", {"name": "any", "upstream": "x:1"}).json
    assert re.fullmatch(r"\[::\]:\d+", proxy["listen"])
    port = proxy["listen"].rpartition(":")[2]
    serve.post("/proxies/any/toxics", {"type": "noop"})
    for text in (f"0.0.0.0:{port}", f":{port}", f"[::]:{port}"):
        again = serve.post("/populate", [{"name": "any", "listen": text, "upstream": "x:1"}]).json
        assert len(again["proxies"][0]["toxics"]) == 1, text


def test_a_name_is_percent_decoded(serve):
    make(serve, "a b%")
    assert serve.get("/proxies/a%20b%25").status == 200


def test_other_faults_are_counted_and_not_shown(serve):
    make(serve)
    added = serve.post("/api/v1/proxies/db/faults", {"type": "stall", "name": "ours"})
    assert added.status == 201, added.text
    answer = serve.get("/proxies/db")
    assert answer.json["toxics"] == []
    assert answer.headers["x-weir-hidden-faults"] == "1"
    assert serve.post("/proxies/db/toxics", {"type": "noop", "name": "ours"}).status == 409
    assert serve.get("/proxies/db/toxics/ours").status == 404
    serve.post("/reset")
    assert "x-weir-hidden-faults" not in serve.get("/proxies/db").headers


def test_an_upstream_that_is_down_closes_the_client(serve):
    proxy = make(serve, upstream="127.0.0.1:1")
    with socket.create_connection(address(proxy), timeout=10) as client:
        assert client.recv(1) == b""


def test_the_api_is_no_upstream(serve):
    proxy = make(serve, upstream=f"localhost:{serve.port}")
    with socket.create_connection(address(proxy), timeout=10) as client:
        client.sendall(b"GET /proxies HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            assert client.recv(100) == b""
        except ConnectionResetError:
            pass  # what it sent was never read


def test_metrics_are_live(serve, listener):
    proxy = make(serve, upstream=f"127.0.0.1:{listener.address[1]}")
    with socket.create_connection(address(proxy), timeout=10) as client:
        client.sendall(b"12345")
        wanted = f'direction="upstream",listener="{proxy["listen"]}",proxy="db",upstream="{proxy["upstream"]}"}} 5'
        wait_until(lambda: wanted in serve.get("/metrics").text, "the bytes are counted", 10.0)
