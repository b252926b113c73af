"""The settings of a proxy: each is changed while sessions run, over the API, by command and in the file."""

import json
import signal
import socket

from deadline import wait_until
from echo import connect, echo_server, echoes
from weir_process import run_weir

# Another value than the default of each kind, as the API takes it.
ANOTHER = {"upstream": "127.0.0.1:1", "flag": False, "count": 2, "size": "1MiB", "duration": "123s"}


def nested(name, value):
    group, dot, rest = name.partition(".")
    return {group: {rest: value}} if dot else {name: value}


def test_every_setting_but_listen_and_enabled_changes_without_ending_a_session(serve):
    with echo_server() as upstream:
        serve.post("/api/v1/proxies", {"name": "db", "upstream": f"127.0.0.1:{upstream}",
                                       "timeouts": {"tcp.user_timeout": "off"}})
        settings = serve.get("/api/v1/settings").json["settings"]
        assert len(settings) >= 22
        with connect(serve) as client:
            assert echoes(client)
            for each in settings:
                if each["name"] in ("listen", "enabled", "timeouts.tcp.user_timeout"):
                    continue
                value = each["words"][-1] if each["words"] else ANOTHER[each["kind"]]
                changed = serve.patch("/api/v1/proxies/db", nested(each["name"], value))
                assert changed.status == 200, changed.text
                shown = changed.json
                for key in each["name"].split(".", 1):
                    shown = shown[key]
                assert shown == ("1048576" if value == "1MiB" else value), each["name"]
                assert echoes(client), each["name"]
            (session,) = serve.get("/api/v1/sessions").json["sessions"]
            assert session["session"] == 1


def test_a_shorter_timeout_reaches_open_sessions_and_another_upstream_only_new_ones(serve):
    with echo_server() as first, echo_server() as second:
        serve.post("/api/v1/proxies", {"name": "db", "upstream": f"127.0.0.1:{first}"})
        serve.post("/api/v1/proxies", {"name": "other", "upstream": f"127.0.0.1:{first}"})
        with connect(serve) as old, connect(serve, "other") as untouched:
            assert echoes(old) and echoes(untouched)
            serve.patch("/api/v1/proxies/db", {"upstream": f"127.0.0.1:{second}"})
            with connect(serve) as new:
                assert echoes(new) and echoes(old)
                upstreams = {each["session"]: each["upstream"]
                             for each in serve.get("/api/v1/sessions?proxy=db").json["sessions"]}
                assert upstreams == {1: f"127.0.0.1:{first}", 2: f"127.0.0.1:{second}"}
                ran = run_weir("proxy", "set", "db", "timeouts.idle=200ms", "--url", f"http://{serve.where}")
                assert ran.returncode == 0, ran.stderr
                assert "timeouts.idle\t200ms\t1h" in ran.stdout
                assert old.recv(1) == b"" and new.recv(1) == b""
            assert echoes(untouched)
        closed = wait_until(lambda: 'cause="idle"' in serve.get("/metrics").text or None, "the cause is counted")
        assert closed


def test_a_listener_that_is_taken_is_refused_and_changes_nothing(serve):
    with echo_server() as upstream, socket.create_server(("127.0.0.1", 0)) as taken:
        before = serve.post("/api/v1/proxies", {"name": "db", "upstream": f"127.0.0.1:{upstream}"}).json
        with connect(serve) as client:
            assert echoes(client)
            there = f"127.0.0.1:{taken.getsockname()[1]}"
            refused = serve.patch("/api/v1/proxies/db", {"listen": there, "max_sessions": 5})
            assert (refused.status, refused.json["field"]) == (409, "listen")
            assert "ddress already in use" in refused.json["error"]
            assert serve.get("/api/v1/proxies/db").json == before
            assert echoes(client)
            made = serve.post("/api/v1/proxies", {"name": "late", "listen": there, "upstream": "x:1"})
            assert (made.status, made.json["field"]) == (409, "listen")
            assert len(serve.get("/api/v1/proxies").json["proxies"]) == 1


def test_another_listener_moves_the_proxy_and_ends_its_sessions(serve):
    with echo_server() as upstream:
        serve.post("/api/v1/proxies", {"name": "db", "upstream": f"127.0.0.1:{upstream}"})
        with connect(serve) as client:
            assert echoes(client)
            moved = serve.patch("/api/v1/proxies/db", {"listen": "127.0.0.1:0"})
            assert moved.status == 200
            assert client.recv(1) == b""
        with connect(serve) as client:
            assert echoes(client)


def test_a_file_that_is_read_again_keeps_the_sessions_of_a_proxy_with_other_settings(start, tmp_path):
    file = tmp_path / "weir.toml"
    with echo_server() as upstream:
        text = f'[[proxies]]\nname = "db"\nupstream = "127.0.0.1:{upstream}"\n'
        file.write_text(text)
        serve = start("-c", file)
        before = serve.get("/api/v1/proxies/db").json
        with connect(serve) as client:
            assert echoes(client)
            file.write_text(text + 'max_sessions = 5\ntimeouts = { idle = "10m" }\n')
            serve.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "read again" in serve.stderr(), "the file is read again")
            after = serve.get("/api/v1/proxies/db").json
            assert (after["max_sessions"], after["timeouts"]["idle"]) == (5, "10m")
            assert after["listen"] == before["listen"], "the port that the kernel picked stays"
            assert echoes(client)


def test_toxiproxys_update_of_the_upstream_ends_the_sessions_as_toxiproxys_does(serve):
    with echo_server() as upstream:
        serve.post("/proxies", {"name": "db", "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream}"})
        with connect(serve) as client:
            assert echoes(client)
            assert serve.post("/proxies/db", {"upstream": "127.0.0.1:1"}).status == 200
            assert client.recv(1) == b""


def test_settings_by_command(serve):
    url = ("--url", f"http://{serve.where}")
    made = run_weir("proxy", "add", "db", "0", "x:1", "max_sessions=7", "timeouts.idle.client=90s", *url)
    assert made.returncode == 0, made.stderr
    assert "max_sessions\t7\toff" in made.stdout and "timeouts.idle.client\t90s\toff" in made.stdout
    listens = serve.get("/api/v1/proxies/db").json["listen"].rpartition(":")[2]
    same = run_weir("proxy", "set", "db", f"listen={listens}", "max_sessions=off", *url)
    assert same.returncode == 0, same.stderr
    assert serve.get("/api/v1/proxies/db").json["max_sessions"] is None
    for word, said in (("timeouts.idel=2s", 'timeouts.idel: there is no key "idel" here; did you mean "idle"?'),
                       ("max_sesions=2", 'did you mean "max_sessions"?'),
                       ("max_sessions=0", "max_sessions: write a whole number from 1 to 1000000000, or off, not 0"),
                       ("timeouts.idle=2", "timeouts.idle: "), ("timeouts.drain=2s", "of the whole process"),
                       ("timeouts.tcp.keepalive.idle=10h", "the kernel takes at most 32767s"),
                       ("enabled=maybe", 'enabled: write true or false, not "maybe"'),
                       ("keepalive_count=3", "keepalive_count: it has no effect while"),
                       ("timeouts=2s", "timeouts: write an object"),
                       ("listen", "write KEY=VALUE")):
        before = serve.get("/api/v1/proxies/db").json
        ran = run_weir("proxy", "set", "db", word, *url)
        assert ran.returncode == 2, (word, ran.stderr)
        assert said in ran.stderr and ran.stderr.count("\n") == 1, ran.stderr
        assert serve.get("/api/v1/proxies/db").json == before


def test_what_the_api_shows_of_a_proxy_it_takes_back(serve):
    shown = serve.post("/api/v1/proxies", {"name": "db", "upstream": "x:1"}).json
    keys = {each["name"].partition(".")[0] for each in serve.get("/api/v1/settings").json["settings"]}
    again = serve.patch("/api/v1/proxies/db", {key: shown[key] for key in keys})
    assert again.status == 200, again.text
    assert {key: again.json[key] for key in keys} == {key: shown[key] for key in keys}


def test_a_body_of_any_shape_is_refused_with_the_field(serve):
    serve.post("/api/v1/proxies", {"name": "db", "upstream": "x:1"})
    before = serve.get("/api/v1/proxies/db").text
    for each in serve.get("/api/v1/settings").json["settings"]:
        for value in ([], {}, [1], {"a": 1}, 1.5, "\ud800", 2 ** 64, -2 ** 63, ""):
            answer = serve.patch("/api/v1/proxies/db", json.dumps(nested(each["name"], value)))
            assert answer.status == 400, (each["name"], value, answer.text)
            assert answer.json.get("field", each["name"]) == each["name"], answer.text
    assert serve.get("/api/v1/proxies/db").text == before
