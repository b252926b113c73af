"""Reads the table of enemies out of docs/close-causes.md: what the page promises is what is tested."""

import re
from dataclasses import dataclass

from weir_process import REPOSITORY

PAGE = REPOSITORY / "docs" / "close-causes.md"
HEADING = "## The enemies"
COLUMNS = ["enemy", "what happens", "closed by", "the client feels", "the server feels"]


@dataclass(frozen=True)
class Enemy:
    name: str           # "client resets", the scenario's name
    happens: str
    closed_by: str      # "client.reset"
    client_feels: str   # "FIN", "RST", "FIN, then RST", or "-" if it feels nothing or ended it itself
    server_feels: str


def read_enemies(page=None):
    """All rows, in order. A malformed table is an error: a row that is not read is not tested."""
    text = page if page is not None else PAGE.read_text()
    _, found, rest = text.partition(HEADING + "\n")
    if not found:
        raise ValueError(f"{PAGE}: no heading {HEADING!r}")
    section = re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    rows = [[cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
            for line in section.splitlines() if line.startswith("|")]
    if not rows or rows[0] != COLUMNS:
        raise ValueError(f"{PAGE}: the table's columns should be {COLUMNS}, are {rows[:1]}")
    enemies = []
    for cells in rows[2:]:
        if len(cells) != len(COLUMNS):
            raise ValueError(f"{PAGE}: a row with {len(cells)} cells: {cells}")
        enemies.append(Enemy(*cells))
    names = [enemy.name for enemy in enemies]
    if len(set(names)) != len(names):
        raise ValueError(f"{PAGE}: an enemy is named twice")
    return enemies
