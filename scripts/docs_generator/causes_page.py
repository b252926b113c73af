"""docs/causes.md: a section for every cause of lost time."""

from __future__ import annotations

from .command_tree import Program

MARK = "<!-- catalog: written by scripts/generate-docs; change the causes' own files instead -->"


def causes_page(program: Program, committed: str) -> str:
    """The committed text above the mark as it is, and a section for every cause below it."""
    lines = [committed.partition(MARK)[0] + MARK]
    for cause in program.causes:
        lines += ["", f"### `{cause['name']}`", "", f"{cause['doc']}.", "",
                  f"- What the rule sees: {cause['signals']}."]
        if cause["look_alikes"]:
            lines.append(f"- Look-alikes: {cause['look_alikes']}.")
    return "\n".join(lines) + "\n"
