"""What the diagnosis of a proxy says."""

from __future__ import annotations

import asyncio
from typing import List

import pytest

import weir
from peers import Echo, round_trip, wait_until
from weir import aio


def test_a_report_and_its_verdicts(server: weir.Server, echo: Echo) -> None:
    with server.proxy("slow", echo.address, diagnose=True) as slow, slow.latency("30ms"):
        for _ in range(3):
            round_trip(slow.port)
        wait_until(lambda: slow.report().exchanges == 3, "three exchanges")
        report = slow.report()
        loss = next(each for each in report.causes if each.cause == "fault")
        assert (loss.side, loss.who, loss.certainty, loss.times) == ("weir", "weir", "shown", 3)
        assert loss.lost_ns >= 3 * 29_000_000 and 0 < loss.share <= 1
        assert report.worst[0].length_ns >= report.worst[-1].length_ns
        assert str(report).startswith("3 sessions, 3 exchanges in ") and "fault" in str(report)
        faults: List[weir.Verdict] = [each for each in slow.verdicts() if each.cause == "fault"]
        assert [(each.session, each.exchange, each.proxy) for each in faults] == [(n, 1, "slow") for n in (1, 2, 3)]
        assert faults[0].id is not None and faults[0].evidence["held_ns"] == faults[0].length_ns
        assert "to weir: fault (shown): delayed it" in str(faults[0])
        later = [each for each in slow.verdicts(after=faults[0].id, limit=1000) if each.cause == "fault"]
        assert later == faults[1:]
        assert slow.wait_for("verdict", timeout=5).data["proxy"] == "slow"


def test_where_it_is_off_the_way_to_switch_it_on_is_told(db: weir.Proxy) -> None:
    with pytest.raises(weir.Conflict, match="change its diagnose to true"):
        db.report()
    with pytest.raises(weir.Conflict, match="diagnose"):
        db.verdicts()
    db.update(diagnose=True)
    assert db.report().exchanges == 0
    assert db.verdicts() == []


def test_the_same_for_asyncio(echo: Echo) -> None:
    async def story() -> None:
        async with aio.Server() as server, server.proxy("db", upstream=echo.address, diagnose=True) as db:
            assert (await db.report()).sessions == 0
            assert await db.verdicts(limit=3) == []
    asyncio.run(story())
