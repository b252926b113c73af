"""docs/settings.md: a row for every setting of a proxy."""

from __future__ import annotations

from .command_tree import Program

MARK = "<!-- catalog: written by scripts/generate-docs; change src/proxy/setting_catalog.cpp instead -->"


def settings_page(program: Program, committed: str) -> str:
    """The committed text above the mark as it is, and a row for every setting below it."""
    lines = [committed.partition(MARK)[0] + MARK, "",
             "| setting | default | what it may be | a change reaches | meaning |", "|---|---|---|---|---|"]
    for each in program.settings:
        default = f"`{each['default']}`" if each["default"] else "-"
        reaches = {"reopening": "at once, and closes its sessions"}.get(each["takes_effect"], each["takes_effect"])
        lines.append(f"| `{each['name']}` | {default} | {each['values']} | {reaches} | {each['doc']} |")
    return "\n".join(lines) + "\n"
