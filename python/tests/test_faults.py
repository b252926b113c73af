"""Every fault of the live catalog is a method with the catalog's attributes, and does what it says."""

from __future__ import annotations

import inspect
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, Dict

import pytest

import weir
from peers import PATIENCE, Echo, connected, round_trip, round_trip_on, wait_until
from weir import aio
from weir._server import find_binary

GENERATOR = Path(__file__).parents[1] / "tools" / "generate_faults.py"
GENERATORS = (GENERATOR, GENERATOR.with_name("generate_settings.py"))


@pytest.mark.parametrize("generator", GENERATORS, ids=["faults", "settings"])
def test_the_methods_are_what_the_live_catalog_says(generator: Path) -> None:
    checked = subprocess.run([sys.executable, generator, "--check"], capture_output=True, text=True,
                             env={"WEIR_BIN": find_binary()})
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_catalog_that_says_something_else_is_noticed(tmp_path: Path) -> None:
    copy = tmp_path / "tools" / "generate_faults.py"
    copy.parent.mkdir()
    copy.write_text(GENERATOR.read_text())
    methods = tmp_path / "src" / "weir" / "_faults.py"
    methods.parent.mkdir(parents=True)
    there = (GENERATOR.parents[1] / "src" / "weir" / "_faults.py").read_text()
    methods.write_text(there.replace("jitter", "jiter"))
    checked = subprocess.run([sys.executable, copy, "--check"], capture_output=True, text=True,
                             env={"WEIR_BIN": find_binary()})
    assert checked.returncode == 1
    assert "-        self, latency" not in checked.stdout
    assert "jitter" in checked.stdout


def test_every_fault_can_be_put_in_force_with_its_defaults(server: weir.Server, db: weir.Proxy) -> None:
    required: Dict[str, Dict[str, Any]] = {"corrupt": {"at": 1}, "slicer": {"average_size": 10}}
    catalog = server.catalog()
    assert len(catalog) >= 17
    for each in catalog:
        method = getattr(db, each["type"])
        names = set(inspect.signature(method).parameters)
        assert {attribute["name"].replace("with", "with_") for attribute in each["attributes"]} <= names
        with method(**required.get(each["type"], {})) as fault:
            shown = fault.info()
            assert shown["type"] == each["type"] == fault.type
            if "direction" in shown:
                assert shown["direction"] == each["direction"]
        assert db.faults() == []


def test_the_async_twin_has_the_same_methods() -> None:
    for name in ("latency", "corrupt", "refuse"):
        assert getattr(aio.Proxy, name) is getattr(weir.Proxy, name)


def test_latency_is_felt_and_goes(db: weir.Proxy) -> None:
    with connected(db.port) as client:
        with db.latency("1s"):
            assert round_trip_on(client) >= 1
        assert db.faults() == []
        assert round_trip_on(client) < 1 * PATIENCE


def test_faults_are_downstream_unless_said_otherwise(db: weir.Proxy) -> None:
    with db.latency("1ms") as down, db.latency("1ms", direction="upstream") as up:
        assert (down.name, up.name) == ("latency_downstream", "latency_upstream")
        assert [each["direction"] for each in db.faults()] == ["downstream", "upstream"]


def test_nested_faults_of_one_type_add_up_and_go_last_in_first_out(db: weir.Proxy) -> None:
    with db.latency("100ms"):
        with db.latency("60ms") as inner, db.latency("40ms"):
            assert inner.name == "latency_downstream_2"
            assert [each["latency"] for each in db.faults()] == ["100ms", "60ms", "40ms"]
            assert round_trip(db.port) >= 0.2
        assert [each["name"] for each in db.faults()] == ["latency_downstream"]
        assert 0.1 <= round_trip(db.port)
    assert db.faults() == []


def test_a_fault_can_be_updated_and_says_how_often_it_applied(db: weir.Proxy) -> None:
    with db.latency("1h") as fault:
        fault.update(latency=timedelta(milliseconds=5), probability=1.0)
        assert fault.info()["latency"] == "5ms"
        round_trip(db.port)
        assert fault.applied_sessions == 1


def test_values_of_every_kind(db: weir.Proxy) -> None:
    with db.corrupt(mode="replace", pattern=b"\x0a", with_="00ff", probability=0.5, match="127.0.0.0/8") as fault:
        shown = fault.info()
        assert (shown["pattern"], shown["with"], shown["probability"]) == ("0a", "00ff", 0.5)
    with db.bandwidth(100_000, scope="proxy", after=timedelta(seconds=1), for_="2s") as fault:
        shown = fault.info()
        assert (shown["rate"], shown["scope"], shown["after"], shown["for"]) == ("100KB/s", "proxy", "1s", "2s")
    with db.limit_data("64KiB", name="mine") as fault:
        assert (fault.name, fault.info()["bytes"]) == ("mine", 65536)


def test_a_bare_number_is_no_duration(db: weir.Proxy) -> None:
    with pytest.raises(TypeError, match="write a text with its unit such as '100ms'"):
        db.latency(100)  # type: ignore[arg-type]


def test_what_the_server_refuses_is_its_own_sentence(db: weir.Proxy) -> None:
    with pytest.raises(weir.BadRequest, match="soon") as refused:
        db.latency("soon").create()
    assert refused.value.status == 400
    assert db.faults() == []


def test_a_fault_by_its_name(db: weir.Proxy) -> None:
    with db.fault("latency", latency="10ms", for_=timedelta(seconds=3)) as fault:
        assert fault.info()["for"] == "3s"


def test_down_is_counted(db: weir.Proxy, echo: Echo) -> None:
    with connected(db.port) as client:
        round_trip_on(client)
        with db.down():
            assert client.recv(1) == b""  # sessions end with it
            with db.down():
                assert not db.enabled
            with pytest.raises(ConnectionRefusedError):
                round_trip(db.port)
            assert len(db.info()["holds"]) == 1
    assert db.enabled
    round_trip(db.port)


def test_the_port_of_a_proxy_that_is_down_stays_its_own(db: weir.Proxy) -> None:
    with db.down():
        with pytest.raises(OSError, match="in use"), socket.socket() as other:
            other.bind(("127.0.0.1", db.port))
    round_trip(db.port)


def test_refuse_resets_new_connections(db: weir.Proxy) -> None:
    with db.refuse():
        with pytest.raises(ConnectionError):
            round_trip(db.port)
    wait_until(lambda: round_trip(db.port) > 0, "connections are taken again")
