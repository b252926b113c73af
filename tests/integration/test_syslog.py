"""`weir syslog`: priorities, and messages as util-linux's logger and rsyslogd write them."""

import json
import shutil
import socket
import subprocess

import pytest

from deadline import PATIENCE, wait_until
from rsyslog_server import Rsyslog
from weir_process import BINARY, run_weir


def parse(data):
    run = subprocess.run([BINARY, "syslog", "parse", "--json"], input=data, capture_output=True,
                         timeout=10 * PATIENCE, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def from_logger(*arguments):
    """What logger(1) sends to a TCP server."""
    if shutil.which("logger") is None:
        pytest.skip("logger (package bsdutils) is not installed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        subprocess.run(["logger", "-n", "127.0.0.1", "-P", str(server.getsockname()[1]), "-T", *arguments],
                       check=True, timeout=10 * PATIENCE)
        connection, _ = server.accept()
        with connection:
            return b"".join(iter(lambda: connection.recv(65536), b""))


def test_priorities():
    assert run_weir("syslog", "pri", "local3.info").stdout == "158\n"
    assert run_weir("syslog", "pri", "158").stdout == "local3.info\n"
    wrong = run_weir("syslog", "pri", "local9.info")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith('weir: PRI: there is no syslog facility "local9"; write ')


@pytest.mark.parametrize("framing", ["octet-counting", "non-transparent"])
def test_reads_what_logger_writes(framing):
    counting = ["--octet-count"] if framing == "octet-counting" else []
    sent = from_logger(*counting, "--rfc5424", "-p", "local3.warning", "-t", "shop", "--id=42", "--msgid", "M1",
                       "--sd-id", "weir@32473", "--sd-param", 'name="a \\"quoted\\" value"', "two words")
    (message,) = parse(sent)
    assert message["framing"] == framing
    assert (message["facility"], message["severity"], message["pri"]) == ("local3", "warning", 156)
    assert (message["form"], message["app"], message["procid"], message["msgid"]) == ("rfc5424", "shop", "42", "M1")
    assert {"id": "weir@32473", "params": [{"name": "name", "value": 'a "quoted" value'}]} in message["data"]
    assert message["text"] == "two words"
    assert "anomalies" not in message


def test_reads_loggers_older_form():
    (message,) = parse(from_logger("--rfc3164", "-p", "mail.err", "-t", "shop", "--id=42", "two words"))
    assert (message["form"], message["pri"], message["app"], message["procid"]) == ("rfc3164", 19, "shop", "42")
    assert message["text"] == "two words"


def rsyslog(tmp_path, template, lines):
    """What a private rsyslogd understands of these lines, sent over TCP."""
    with Rsyslog(tmp_path, template) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(lines)
        count = len(parse(lines))
        return wait_until(lambda: len(server.lines()) >= count and server.lines(),
                          "rsyslogd has written all messages", 20.0)


def test_understands_messages_as_rsyslogd_does(tmp_path):
    lines = (b"<34>Oct 11 22:14:15 mymachine su[77]: failed\n"
             b"<158>1 2003-10-11T22:14:15.003Z host.example shop 8710 ID47 - An event\n"
             b"<013>Oct 11 22:14:15 host tag: zero\n"
             b"52 <165>1 2003-10-11T22:14:15Z h app 1 - - counted here")
    theirs = rsyslog(tmp_path, "%pri%|%hostname%|%app-name%|%procid%|%msg%", lines)
    ours = [f"{m['pri']}|{m['host']}|{m['app']}|{m.get('procid', '-')}|{m['text']}" for m in parse(lines)]
    assert [line.replace("| ", "|") for line in theirs] == ours
