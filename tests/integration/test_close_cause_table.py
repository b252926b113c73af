"""docs/close-causes.md names every cause that weir can give, and no other."""

import re

import pytest

from close_cause_table import COLUMNS, HEADING, PAGE, read_enemies
from weir_process import REPOSITORY


def causes_in_the_source():
    """The texts of every CloseReason, and the names of the timeouts that end sessions."""
    reasons = re.findall(r'case CloseReason::\w+:\s*return "([\w.]+)";',
                         (REPOSITORY / "src" / "event" / "close_cause.cpp").read_text())
    timeouts = re.findall(r'\{TimeoutName::\w+, "([\w.]+)"',
                          (REPOSITORY / "src" / "event" / "timeout_catalog.h").read_text())
    assert len(reasons) >= 12 and len(timeouts) == 17, "the source has changed its shape: read it again"
    # Its length sets when probes are sent; what then ends the session is tcp.keepalive.
    return {*reasons, *timeouts} - {"tcp.keepalive.idle", "tcp.keepalive.interval"}


def causes_in_the_page():
    text = PAGE.read_text()
    section = text.partition("## The causes\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([\w.]+)` \|", section, flags=re.MULTILINE))


def test_the_page_names_every_cause_and_no_other():
    assert causes_in_the_page() == causes_in_the_source()


def test_every_enemy_ends_in_a_cause_of_the_page():
    assert {enemy.closed_by for enemy in read_enemies()} <= causes_in_the_page()


def test_a_malformed_table_is_an_error():
    head = f"{HEADING}\n\n| {' | '.join(COLUMNS)} |\n|---|---|---|---|---|\n"
    row = "| a | b | `client.fin` | FIN | RST |\n"
    assert [enemy.closed_by for enemy in read_enemies(head + row)] == ["client.fin"]
    with pytest.raises(ValueError, match="named twice"):
        read_enemies(head + row + row)
    with pytest.raises(ValueError, match="4 cells"):
        read_enemies(head + "| a | b | c | d |\n")
    with pytest.raises(ValueError, match="columns"):
        read_enemies(head.replace("closed by", "cause"))
    with pytest.raises(ValueError, match="no heading"):
        read_enemies("nothing")
