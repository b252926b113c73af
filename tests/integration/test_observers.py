"""[[observers]] of the configuration file: the traffic of some proxies, in a view, in a file."""

import json
import re
import socket
from pathlib import Path

from deadline import wait_until
from serve_process import Serve
from weir_process import run_weir

CONFIG = """
[[observers]]
output = "{folder}/all.jsonl"
[[observers]]
show = "raw"
only = "upstream"
output = "{folder}/db.raw"
proxies = ["db"]
when_slow = "block"
[[proxies]]
name = "db"
upstream = "127.0.0.1:{port}"
[[proxies]]
name = "cache"
upstream = "127.0.0.1:{port}"
"""


def test_they_write_what_they_are_told_to(weir_binary, listener, tmp_path):
    config = tmp_path / "weir.toml"
    config.write_text(CONFIG.format(folder=tmp_path, port=listener.address[1]))
    checked = run_weir("check", "-c", config)
    assert checked.returncode == 0, checked.stderr
    again = tmp_path / "again.toml"
    again.write_text(checked.stdout)
    assert run_weir("check", "-c", again).stdout == checked.stdout
    serve = Serve("-c", config, folder=tmp_path)
    try:
        serve.post("/api/v1/proxies", {"name": "late", "upstream": f"127.0.0.1:{listener.address[1]}"})
        for name in ("db", "cache", "late"):
            listen = serve.get(f"/api/v1/proxies/{name}").json["listen"]
            with socket.create_connection(("127.0.0.1", int(listen.rpartition(":")[2])), timeout=20) as client:
                client.sendall(f"to {name}".encode())
                wait_until(lambda: f"to {name}" in (tmp_path / "all.jsonl").read_text(), f"{name}'s bytes are there")
    finally:
        assert serve.stop() == 0, serve.stderr()
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert {each["proxy"] for each in lines if "proxy" in each} == {"db", "cache", "late"}
    assert (tmp_path / "db.raw").read_bytes() == b"to db"


def test_what_is_wrong_is_named(tmp_path):
    config = tmp_path / "weir.toml"
    for text, part in (('show = "jsn"\noutput = "x"', "observers[0].show: "),
                       ("", "observers[0].output: write the file that it goes to"),
                       ('output = "x"\nproxys = ["db"]', 'did you mean "proxies"?'),
                       ('output = "x"\nwhen_slow = "wait"', "observers[0].when_slow: write drop or block")):
        config.write_text(f"[[observers]]\n{text}\n")
        checked = run_weir("check", "-c", config)
        assert checked.returncode == 2
        assert part in checked.stderr
    config.write_text(f'[[observers]]\noutput = "{tmp_path}/missing/x"\n')
    failed = run_weir("serve", "--api", "127.0.0.1:0", "-c", config)
    assert failed.returncode == 1
    assert failed.stderr == f"weir: observers: {tmp_path}/missing/x: No such file or directory\n"


def test_the_files_of_the_documentation_are_right(tmp_path):
    docs = Path(__file__).resolve().parents[2] / "docs"
    for page in ("configuration.md", "log.md"):
        example = re.search(r"```toml\n(.*?)```", (docs / page).read_text(), re.DOTALL)[1]
        file = tmp_path / page
        file.write_text(re.sub(r"/var/log/weir", str(tmp_path), example))
        checked = run_weir("check", "-c", file)
        assert checked.returncode == 0, checked.stderr
