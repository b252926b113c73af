"""The OpenAPI document against the running server: what it says is taken is taken, what is answered fits."""

import json
import socket

import pytest

from deadline import wait_until
from openapi_schema import problems


@pytest.fixture
def document(serve):
    return serve.get("/api/v1/openapi.json").json


def answer_schema(document, method, path, status):
    responses = document["paths"][path][method]["responses"]
    response = responses.get(str(status), responses["default"])
    return response.get("content", {}).get("application/json", {}).get("schema")


def body_schema(document, method, path):
    return document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]


def ask(serve, document, method, path, body=None, **parts):
    """One request; the answer must have the status and the form that the document gives it."""
    answer = serve.ask(method.upper(), path.format(**parts), body)
    schema = answer_schema(document, method, path, answer.status)
    if schema is None:
        assert answer.text == "" or answer.status == 200, answer.text
    else:
        assert problems(answer.json, schema, document) == [], (method, path, answer.text)
    return answer


def variants(document, name):
    for each in document["components"]["schemas"][name]["oneOf"]:
        yield document["components"]["schemas"][each["$ref"].split("/")[-1]]


PROXY = "/api/v1/proxies/{proxy}"


def test_every_answer_fits(serve, document, listener):
    upstream = f"127.0.0.1:{listener.address[1]}"
    made = ask(serve, document, "post", "/api/v1/proxies", {"name": "p", "upstream": upstream, "max_sessions": 9, "diagnose": True,
                                                            "fault_queue_limit": "1MiB",
                                                            "faults": [{"type": "latency", "latency": "1ms", "name": "f"}]})
    assert (made.status, made.json["fault_queue_limit"]) == (201, "1048576")
    with socket.create_connection(("127.0.0.1", int(made.json["listen"].rpartition(":")[2])), timeout=20) as client:
        client.sendall(b"hello")
        wait_until(lambda: serve.get("/api/v1/sessions").json["sessions"], "the session is listed")
        for path, operations in document["paths"].items():
            if "get" in operations and not path.endswith(("/events", "/watch")):  # have no end
                answer = ask(serve, document, "get", path, proxy="p", fault="f", session="1")
                assert answer.status == 200, path
    assert ask(serve, document, "get", PROXY, proxy="none").status == 404
    assert ask(serve, document, "patch", PROXY, {"enabled": False}, proxy="p").status == 200
    assert ask(serve, document, "patch", PROXY + "/faults/{fault}", {"probability": 0.5}, proxy="p",
               fault="f").status == 200
    assert ask(serve, document, "delete", PROXY + "/faults/{fault}", proxy="p", fault="f").status == 204
    assert ask(serve, document, "delete", PROXY, proxy="p").status == 204


# What an attribute needs that a default does not give.
NEEDED = {"corrupt": {"at": 5}}


def test_every_fault_is_taken_as_described(serve, document):
    serve.post("/api/v1/proxies", {"name": "p", "upstream": "x:1"})
    path = PROXY + "/faults"
    taken = set()
    for schema in variants(document, "NewFault"):
        fields = schema["properties"]
        kind = fields["type"]["enum"][0]
        body = {name: field["default"] for name, field in fields.items() if "default" in field}
        body.update(NEEDED.get(kind, {}), type=kind, name=f"f-{kind}", match="10.0.0.0/8")
        if "direction" in fields:
            body.update({"after": "5s", "for": "10s"})
        assert problems(body, body_schema(document, "post", path), document) == []
        answer = ask(serve, document, "post", path, body, proxy="p")
        assert answer.status == 201, (body, answer.text)
        taken.add(kind)
        serve.delete(f"/api/v1/proxies/p/faults/f-{kind}")
    assert taken == {each["type"] for each in serve.get("/api/v1/catalog").json["faults"]}
    assert len(taken) >= 17


def test_what_the_document_forbids_is_refused(serve, document):
    serve.post("/api/v1/proxies", {"name": "p", "upstream": "x:1"})
    path = PROXY + "/faults"
    refused = 0
    for schema in variants(document, "NewFault"):
        kind = schema["properties"]["type"]["enum"][0]
        wrong = [{"nonsense": 1}]
        for name, field in schema["properties"].items():
            for each in field.get("oneOf", [field]):
                if name in ("applied_sessions", "owner"):  # as it was shown: passed over
                    continue
                if "minimum" in each:
                    wrong.append({name: each["minimum"] - 1})
                if "maximum" in each:
                    wrong.append({name: each["maximum"] + 1})
                if "enum" in each and name != "type":
                    wrong.append({name: "nonsense"})
            if field.get("type") == "boolean":
                wrong.append({name: "yes"})
            if field.get("type") == "number":
                wrong.append({name: "much"})
        for each in wrong:
            body = {"type": kind, "name": "w", **NEEDED.get(kind, {}), **each}
            assert problems(body, body_schema(document, "post", path), document) != [], body
            answer = ask(serve, document, "post", path, body, proxy="p")
            assert answer.status == 400, (body, answer.text)
            refused += 1
    assert refused > 100
    assert serve.get("/api/v1/proxies/p/faults").json["faults"] == []


def test_faults_stand_where_they_are_put(serve, document):
    serve.post("/api/v1/proxies", {"name": "p", "upstream": "x:1"})
    path = PROXY + "/faults"

    def names():
        return [each["name"] for each in serve.get("/api/v1/proxies/p/faults").json["faults"]]
    for body in ({"name": "a"}, {"name": "b"}, {"name": "first", "position": 1}, {"name": "c", "before": "b"},
                 {"name": "far", "position": 99}):
        assert ask(serve, document, "post", path, {"type": "noop", **body}, proxy="p").status == 201
    assert names() == ["first", "a", "c", "b", "far"]
    for fault, body in (("far", {"position": 2}), ("first", {"before": "b"}), ("b", {"before": "far"})):
        assert ask(serve, document, "patch", path + "/{fault}", body, proxy="p", fault=fault).status == 200
    assert names() == ["b", "far", "a", "c", "first"]
    for body, field in (({"before": "none"}, "before"), ({"position": 0}, "position"),
                        ({"position": 1, "before": "a"}, "position")):
        answer = ask(serve, document, "post", path, {"type": "noop", "name": "x", **body}, proxy="p")
        assert (answer.status, answer.json["field"]) == (400, field)
    answer = ask(serve, document, "patch", path + "/{fault}", {"before": "a"}, proxy="p", fault="a")
    assert answer.status == 400
    assert len(names()) == 5


def test_sessions_have_rates_and_the_faults_that_hit_them(serve, listener):
    made = serve.post("/api/v1/proxies", {"name": "p", "upstream": f"127.0.0.1:{listener.address[1]}",
                                          "faults": [{"type": "noop", "name": "here", "direction": "upstream"},
                                                     {"type": "noop", "name": "later", "direction": "upstream",
                                                      "after": "1MB"},
                                                     {"type": "noop", "name": "never", "probability": 0}]}).json
    with socket.create_connection(("127.0.0.1", int(made["listen"].rpartition(":")[2])), timeout=20) as client:
        def session(sent):
            found = [each for each in serve.get("/api/v1/sessions").json["sessions"] if each["bytes_upstream"] == sent]
            return found and found[0]
        client.sendall(b"x" * 1000)
        first = wait_until(lambda: session(1000), "the first bytes are through")
        assert first["faults"] == ["here"]
        # Looks within 0.2 s are compared with the same one before; while bytes flow, one of them shows it.
        sent = 1000

        def rate_while_sending():
            nonlocal sent
            client.sendall(b"x" * 100)
            sent += 100
            return serve.get("/api/v1/sessions").json["sessions"][0]["rate_upstream"]
        rate = wait_until(rate_while_sending, "there is a rate", 30.0)
        assert 0 < rate < sent / 0.01
        last = wait_until(lambda: (now := session(sent)) and now["rate_upstream"] == 0 and now, "it is silent now", 20.0)
        assert last["mean_rate_upstream"] > 0
        assert last["rate_downstream"] == 0
        events = serve.get("/api/v1/events?after=0&follow=false").text
    assert '"fault":"here","type":"noop","count":1,"sessions":[1]' in events.replace(" ", "")
    assert '"fault":"never"' not in events.replace(" ", "")


def test_a_fault_added_to_many_sessions_is_one_event(serve):
    upstream = socket.create_server(("127.0.0.1", 0), backlog=512)
    made = serve.post("/api/v1/proxies", {"name": "p", "upstream": "127.0.0.1:%d" % upstream.getsockname()[1]}).json
    address = ("127.0.0.1", int(made["listen"].rpartition(":")[2]))
    clients = [socket.create_connection(address, timeout=20) for _ in range(150)]
    try:
        wait_until(lambda: len([each for each in serve.get("/api/v1/sessions").json["sessions"]
                                if each["phase"] == "relaying"]) == 150, "all are open", 30.0)
        serve.post("/api/v1/proxies/p/faults", {"type": "noop", "name": "all"})

        def told():
            text = serve.get("/api/v1/events?after=0&follow=false").text
            return [line for line in text.splitlines() if '"fault":"all","type":"noop"' in line.replace(" ", "")]
        lines = wait_until(lambda: sum(json.loads(each[6:])["count"] for each in told()) == 150 and told(),
                           "every session is told of", 20.0)
        assert len(lines) < 20, "gathered, not one for each"
        assert all(len(json.loads(each[6:])["sessions"]) <= 100 for each in lines)
    finally:
        for each in [*clients, upstream]:
            each.close()
