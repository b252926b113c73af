"""The self-test: documents of an invented tree are well formed, and --check sees a difference."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .command_tree import BadTree, Entry, read_program
from .documents import CAUSES, COMPLETION, FAULTS, MAN_PAGE, SETTINGS, differences, generated, write

SAMPLE: dict[str, Any] = {
    "name": "weir",
    "version": "weir 0.1.0 (commit 0123abc, g++ 12.2.0)",
    "description": "See one raw TCP stream.",
    "footer": ("Examples:\n  weir demo             ten seconds\n  weir tap 0 host:80 > body\n\n"
               "'Quoted' words start a line, and so do\n.dots\n"
               "Exit codes: 0 done, 2 wrong usage."),
    "options": [{"names": ["-h", "--help"], "type_name": "", "default": "", "description": "Print this help"}],
    "faults": [{"type": "lag", "doc": "Bytes come late", "details": "One.\n\nTwo.", "differs": "It works.",
                "classic": False, "stream": True, "direction": "both", "attributes": [
                    {"name": "by", "values": "a duration", "default": "0", "doc": "How late", "classic": True}]}],
    "settings": [{"name": "most", "values": "a number", "default": "off", "takes_effect": "new sessions",
                  "doc": "How many"},
                 {"name": "where", "values": "a place", "default": "", "takes_effect": "reopening", "doc": "Where"}],
    "causes": [{"name": "nap", "doc": "It slept", "signals": "Silence", "look_alikes": "A thought"}],
    "commands": [
        {"name": "tap", "description": "Show every byte", "footer":
         "Timeouts:\n  idle.client              off    the client's silence\n  drain  30s  the end\n",
         "options": [
             {"names": ["-h", "--help"], "type_name": "", "default": "", "description": "Print this help"},
             {"names": ["LISTEN"], "type_name": "", "default": "", "description": "8888 or :8888", "positional": True,
              "required": True},
             {"names": ["-s", "--show"], "type_name": "VIEW", "default": "text", "description": "The view",
              "choices": ["text", "hex", "none"]},
             {"names": ["-o", "--output"], "type_name": "FILE", "default": "",
              "description": "Write to FILE \u2013 or a\\b"},
             {"names": ["-t", "--timeout"], "type_name": "NAME=DURATION", "default": "", "description": "Set a timeout",
              "choices": ["idle.client=", "idle.server=", "drain="], "repeatable": True},
             {"names": ["--once"], "type_name": "", "default": "false", "description": "One session"},
         ], "commands": []},
        {"name": "fault", "description": "Faults", "footer": "", "options": [], "commands": [
            {"name": "add", "description": "Add one", "footer": "", "options": [
                {"names": ["--toxicity"], "type_name": "P", "default": "1", "description": "How probable"}],
             "commands": []},
            {"name": "set", "description": "Change one", "footer": "", "options": [
                {"names": ["PROXY"], "description": "Which", "positional": True, "required": True},
                {"names": ["KEY=VALUE"], "description": "What", "positional": True, "choices": ["most=", "more="]}],
             "commands": []},
            {"name": "tap", "description": "A name that is a command's elsewhere too", "footer": "", "options": [],
             "commands": []}]},
    ],
}

FAULTS_HOLDS = (
    "### `lag`\n\nBytes come late.\n\n| field", "| `by` | `0` | a duration | How late |", "One.\n\nTwo.\n",
    "Its `direction` is `both` unless given.", "Unlike toxiproxy's: It works.")

SETTINGS_HOLDS = ("| `most` | `off` | a number | new sessions | How many |",
                  "| `where` | - | a place | at once, and closes its sessions | Where |")

# The words typed so far, the last one being completed, and what it must complete to.
TYPED: tuple[tuple[list[str], list[str]], ...] = (
    (["weir", ""], ["tap", "fault"]),
    (["weir", "t"], ["tap"]),
    (["weir", "--h"], ["--help"]),
    (["weir", "tap", "--s"], ["--show"]),
    (["weir", "tap", "-"], ["-h", "--help", "-s", "--show", "-o", "--output", "-t", "--timeout", "--once"]),
    (["weir", "tap", "--show", ""], ["text", "hex", "none"]),
    (["weir", "tap", "-s", "h"], ["hex"]),
    (["weir", "tap", "--show", "=", "n"], ["none"]),
    (["weir", "tap", "--show", "="], ["text", "hex", "none"]),
    (["weir", "tap", "--show", "hex", "--on"], ["--once"]),
    (["weir", "tap", "-t", "idle"], ["idle.client=", "idle.server="]),
    (["weir", "tap", "-o", "note"], ["notes one.txt", "notes two.txt"]),
    (["weir", "tap", "-o", "tap", "--onc"], ["--once"]),
    (["weir", "tap", "8888", ""], []),
    (["weir", "fault", ""], ["add", "set", "tap"]),
    (["weir", "fault", "set", "db", "mo"], ["most=", "more="]),
    (["weir", "fault", "set", "db", "most=1", "mor"], ["more="]),
    (["weir", "fault", "add", "--tox"], ["--toxicity"]),
    (["weir", "fault", "add", "--toxicity", ""], []),
    (["weir", "fault", "tap", "--s"], []),
)


def completed(script: Path, folder: Path, words: list[str]) -> list[str]:
    """What bash offers for the last word, in a shell of its own."""
    code = 'set -u; source "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _weir; ' + \
        'printf "%s\\n" ${COMPREPLY[@]+"${COMPREPLY[@]}"}'
    run = subprocess.run(["bash", "--norc", "-c", code, "bash", script, *words], cwd=folder, capture_output=True,
                         text=True, check=False)
    return [line for line in run.stdout.splitlines() if line] + ([f"stderr: {run.stderr}"] if run.stderr else [])


def linted(page: Path) -> tuple[list[str], list[str]]:
    """What mandoc and man say against the page, with those of the two that are here."""
    said: list[str] = []
    ran: list[str] = []
    if shutil.which("mandoc"):
        ran.append("mandoc")
        run = subprocess.run(["mandoc", "-T", "lint", "-W", "style", page], capture_output=True, text=True, check=False)
        said += run.stdout.splitlines()
    if shutil.which("man"):
        ran.append("man")
        run = subprocess.run(["man", "--warnings", "-l", "-Tutf8", "-Z", page], stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True, check=False,
                             env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": ""})
        said += run.stderr.splitlines()
    return said, ran


# What the page must hold, as plain text would show it: escapes that went wrong show here.
PAGE_HOLDS = (
    ".TH WEIR 1 2001-02-03 \"weir 0.1.0\" \"User Commands\"", ".SH NAME\nweir \\- See one raw TCP stream\n",
    "\\fBweir tap\\fR [\\fIOPTION\\fR ...] \\fILISTEN\\fR\n", "\\fBweir fault add\\fR [\\fIOPTION\\fR ...]\n",
    ".TP\n\\fB\\-s\\fR, \\fB\\-\\-show\\fR \\fIVIEW\\fR\nThe view (default: text).\n",
    ".TP\n\\fB\\-\\-once\\fR\nOne session.\n", "Write to FILE \\[u2013] or a\\eb.",
    ".TP\n\\fBidle.client\\fR (off)\nthe client's silence\n", "\n\\&'Quoted' words start a line, and so do .dots\n",
    '.SH "EXIT STATUS"\n0 done, 2 wrong usage.\n',
    '.SH "EXAMPLES"\n.TP\n\\fBweir demo\\fR\nten seconds\n.TP\n\\fBweir tap 0 host:80 > body\\fR\n',
)


def self_test_check(folder: Path, failures: list[str]) -> None:
    """--check sees a stale file, one that is not there, and nothing when both are fresh."""
    def stale(sample: Entry) -> bool:
        return bool(differences(generated(read_program(json.dumps(sample)), folder), folder))
    if stale(SAMPLE):
        failures.append("--check sees a difference where there is none")
    if stale({**SAMPLE, "version": "weir 0.1.0 (commit fedcba9, clang 14)"}):
        failures.append("a new commit alone makes the page stale")
    if not stale({**SAMPLE, "description": "Something else"}):
        failures.append("--check does not see a changed description")
    (folder / COMPLETION.path).unlink()
    if not stale(SAMPLE):
        failures.append("--check does not see that a file is missing")
    for broken in ("{", '{"name": "weir"}', json.dumps({**SAMPLE, "version": "none"})):
        try:
            read_program(broken)
            failures.append(f"taken as a command tree: {broken[:40]}")
        except BadTree:
            pass


def self_test() -> bool:
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SOURCE_DATE_EPOCH"] = "981158400"  # 2001-02-03
        texts = generated(read_program(json.dumps(SAMPLE)), folder)
        write(texts, folder)
        failures += [f"not in the page: {part!r}" for part in PAGE_HOLDS if part not in texts[MAN_PAGE.path]]
        failures += [f"not in docs/faults.md: {part!r}" for part in FAULTS_HOLDS if part not in texts[FAULTS.path]]
        failures += [f"not in docs/settings.md: {part!r}" for part in SETTINGS_HOLDS
                     if part not in texts[SETTINGS.path]]
        if "### `nap`\n\nIt slept.\n" not in texts[CAUSES.path]:
            failures.append("not in docs/causes.md: the cause")
        (folder / FAULTS.path).write_text("By hand.\n" + texts[FAULTS.path], encoding="utf-8")
        if generated(read_program(json.dumps(SAMPLE)), folder)[FAULTS.path] != "By hand.\n" + texts[FAULTS.path]:
            failures.append("what stands above the mark of docs/faults.md is not kept")
        said, ran = linted(folder / MAN_PAGE.path)
        failures += said
        for file in ("notes one.txt", "notes two.txt"):
            (folder / file).touch()
        for words, expected in TYPED:
            offered = completed(folder / COMPLETION.path, folder, words)
            if sorted(offered) != sorted(expected):
                failures.append(f"{' '.join(words)}<TAB> offers {offered}, not {expected}")
        self_test_check(folder, failures)
    for failure in failures:
        print(f"generate-docs --self-test: {failure}", file=sys.stderr)
    linters = " and ".join(ran) or "nothing: no mandoc, no man here"
    print(f"generate-docs --self-test: the page (linted by {linters}), {len(TYPED)} completions, "
          f"{len(failures)} failures")
    return not failures
