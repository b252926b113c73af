"""Changes of thousands of proxies at once: others are answered meanwhile, two of them come one after the other, and what
was said is true."""

import signal
import socket
import threading

from deadline import PATIENCE, wait_until

MANY = 3000


def proxies(count, upstream="127.0.0.1:1", prefix="p"):
    return [{"name": f"{prefix}{number:04}", "listen": "127.0.0.1:0", "upstream": upstream} for number in range(count)]


class Asking(threading.Thread):
    """One request on a thread of its own."""

    def __init__(self, serve, method, path, body=None, **headers):
        super().__init__(daemon=True)
        self.request = lambda: serve.ask(method, path, body, **headers)
        self.answer = None
        self.start()

    def run(self):
        self.answer = self.request()

    def result(self):
        self.join(60 * PATIENCE)
        assert self.answer is not None, "no answer"
        return self.answer


def answered_beside(serve, asking):
    """How many small requests are answered before the other one."""
    count = 0
    connection = serve.connection()
    while asking.is_alive():
        connection.request("GET", "/api/v1/version")
        response = connection.getresponse()
        assert response.status == 200
        response.read()
        count += 1
    connection.close()
    return count


def test_others_are_answered_while_thousands_change(start):
    serve = start()
    beside = answered_beside(serve, asking := Asking(serve, "POST", "/populate", proxies(MANY)))
    assert asking.result().status == 201 and len(asking.answer.json["proxies"]) == MANY
    assert beside > 10
    for path, key in (("/proxies", None), ("/api/v1/proxies", "proxies")):
        beside = answered_beside(serve, asking := Asking(serve, "GET", path))
        told = asking.result().json
        assert len(told[key] if key else told) == MANY
    scrape = Asking(serve, "GET", "/metrics")
    answered_beside(serve, scrape)
    assert scrape.result().text.count("\nweir_sessions_live{") == MANY
    beside = answered_beside(serve, asking := Asking(serve, "POST", "/populate", proxies(MANY, "127.0.0.1:2")))
    assert asking.result().status == 201 and beside > 10
    assert serve.post("/reset").status == 204
    assert {each["upstream"] for each in serve.get("/proxies").json.values()} == {"127.0.0.1:2"}


def test_one_change_of_thousands_comes_after_the_other(start):
    serve = start()
    first = Asking(serve, "POST", "/populate", proxies(MANY, "127.0.0.1:1"))
    wait_until(lambda: serve.get("/proxies/p0000").status == 200, "the first has begun")
    second = Asking(serve, "POST", "/populate", proxies(MANY, "127.0.0.1:2"))
    assert second.result().status == 201
    assert not first.is_alive() and first.answer.status == 201
    assert {each["upstream"] for each in serve.get("/proxies").json.values()} == {"127.0.0.1:2"}


def test_a_proxy_that_is_changed_meanwhile_is_as_it_was_said(start):
    serve = start()
    assert serve.post("/populate", proxies(MANY)).status == 201
    resetting = Asking(serve, "POST", "/reset")
    for number in range(0, MANY, 100):
        name = f"p{number:04}"
        assert serve.patch(f"/api/v1/proxies/{name}", {"max_sessions": 7}).status == 200
        assert serve.get(f"/api/v1/proxies/{name}").json["max_sessions"] == 7
    assert resetting.result().status == 204
    told = {each["name"]: each["max_sessions"] for each in serve.get("/api/v1/proxies").json["proxies"]}
    assert all(told[f"p{number:04}"] == 7 for number in range(0, MANY, 100))


def test_a_lease_takes_thousands_with_it_before_its_end_is_answered(start):
    serve = start()
    with socket.create_connection(("127.0.0.1", serve.port), timeout=20 * PATIENCE) as held:
        held.sendall(b"POST /api/v1/leases HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = held.recv(4096).decode()
        lease = next(line.split(": ")[1] for line in head.split("\r\n") if line.startswith("Weir-Lease"))
        for number in range(300):
            body = {"name": f"mine{number}", "upstream": "127.0.0.1:1"}
            assert serve.post("/api/v1/proxies", body, Weir_Lease=lease).status == 201
        assert serve.post("/populate", proxies(MANY)).status == 201
        before = serve.get("/api/v1/version").json["last_event"]
        ending = Asking(serve, "DELETE", f"/api/v1/leases/{lease}")
        answered_beside(serve, ending)
        assert ending.result().status == 204
        assert len(serve.get("/proxies").json) == MANY
        events = serve.get(f"/api/v1/events?after={before}&follow=false").text
        assert events.count("event: proxy.removed") == 300 and events.count("event: lease.ended") == 1
        assert events.rindex("event: proxy.removed") < events.index("event: lease.ended"), "in their order"


def test_a_file_with_thousands_is_read_again_beside_others(start, tmp_path):
    config = tmp_path / "weir.toml"
    config.write_text("")
    serve = start("-c", config)
    config.write_text("".join(f'[[proxies]]\nname = "f{number:04}"\nupstream = "127.0.0.1:1"\n' for number in range(MANY)))
    serve.process.send_signal(signal.SIGHUP)
    serve.process.send_signal(signal.SIGHUP)  # and once more after it
    assert serve.post("/proxies", {"name": "own", "listen": "127.0.0.1:0", "upstream": "x:1"}).status == 201
    wait_until(lambda: "read again" in serve.stderr(), "it is applied", 30.0)
    assert len(serve.get("/proxies").json) == MANY + 1
    config.write_text("")
    serve.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(serve.get("/proxies").json) == 1, "they are gone again", 30.0)
    assert serve.get("/proxies/own").status == 200
