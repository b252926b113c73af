"""The documents, their places in the tree, and what is done with them: writing, and comparing with the committed."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .causes_page import causes_page
from .command_tree import Program
from .completion import completion
from .faults_page import faults_page
from .man_page import man_page
from .settings_page import settings_page


@dataclass(frozen=True)
class Document:
    path: Path
    text: Callable[[Program, str], str]  # the second argument is the committed text, "" if there is none
    wanted: Callable[[Program], bool] = lambda program: True


MAN_PAGE = Document(Path("docs/man/weir.1"), man_page)
COMPLETION = Document(Path("completions/weir.bash"), completion)
FAULTS = Document(Path("docs/faults.md"), faults_page, lambda program: bool(program.faults))
SETTINGS = Document(Path("docs/settings.md"), settings_page, lambda program: bool(program.settings))
CAUSES = Document(Path("docs/causes.md"), causes_page, lambda program: bool(program.causes))
DOCUMENTS = (MAN_PAGE, COMPLETION, FAULTS, SETTINGS, CAUSES)

Texts = dict[Path, str]


def committed(folder: Path, path: Path) -> str:
    file = folder / path
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def generated(program: Program, folder: Path) -> Texts:
    return {each.path: each.text(program, committed(folder, each.path)) for each in DOCUMENTS if each.wanted(program)}


def differences(texts: Texts, folder: Path) -> list[str]:
    out: list[str] = []
    for path, text in texts.items():
        there = committed(folder, path)
        if there != text:
            out += difflib.unified_diff(there.splitlines(), text.splitlines(), f"{path} (committed)",
                                        f"{path} (from the program)", lineterm="", n=1)
    return out


def write(texts: Texts, folder: Path) -> None:
    for path, text in texts.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
