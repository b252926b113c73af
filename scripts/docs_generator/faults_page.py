"""docs/faults.md: a section for every fault."""

from __future__ import annotations

import textwrap

from .command_tree import Entry, Program

MARK = "<!-- catalog: written by scripts/generate-docs; change the faults' own files instead -->"


def wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False))


def fault_section(fault: Entry) -> list[str]:
    lines = [f"### `{fault['type']}`", "", wrapped(f"{fault['doc']}."), ""]
    if fault["attributes"]:
        lines += ["| field | default | what it may be | meaning |", "|---|---|---|---|"]
        for each in fault["attributes"]:
            default = f"`{each['default']}`" if each["default"] else "-"
            lines.append(f"| `{each['name']}` | {default} | {each['values']} | {each['doc']} |")
        lines.append("")
    for paragraph in fault["details"].split("\n\n"):
        if paragraph:
            lines += [wrapped(paragraph), ""]
    if fault["stream"] and fault["direction"] != "downstream":
        lines += [f"Its `direction` is `{fault['direction']}` unless given.", ""]
    if fault["differs"]:
        lines += [wrapped(f"Unlike toxiproxy's: {fault['differs']}"), ""]
    return lines


def faults_page(program: Program, committed: str) -> str:
    """The committed text above the mark as it is, and a section for every fault below it."""
    lines = [committed.partition(MARK)[0] + MARK, ""]
    for title, classic in (("Toxiproxy's eight", True), ("Weir's own", False)):
        lines += [f"## {title}", ""]
        for fault in program.faults:
            if fault["classic"] == classic:
                lines += fault_section(fault)
    return "\n".join(lines).rstrip() + "\n"
