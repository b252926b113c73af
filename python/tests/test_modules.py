"""The package's modules stand in layers: each imports only such as do not need it, for types too."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Dict, List, Set

import pytest

import weir

PACKAGE = Path(weir.__file__).parent


def imported(tree: ast.AST) -> Set[str]:
    """The modules of this package that stand in its import lines, wherever those lines are."""
    names: Set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names.update([node.module] if node.module else [each.name for each in node.names])
    return names


def nested(tree: ast.AST) -> List[int]:
    """The lines of imports that are not at a module's top level, where they would hide a circle."""
    top = set(ast.iter_child_nodes(tree))
    return [node.lineno for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom)) and node not in top]


def modules() -> Dict[str, ast.AST]:
    return {file.stem: ast.parse(file.read_text(encoding="utf-8")) for file in PACKAGE.glob("*.py")}


def test_modules_import_one_another_without_a_circle() -> None:
    graph = {name: imported(tree) for name, tree in modules().items()}
    assert "_proxy" in graph["_client"]
    TopologicalSorter(graph).prepare()


def test_every_import_stands_at_the_top_of_its_module() -> None:
    assert {name: lines for name, tree in modules().items() if (lines := nested(tree))} == {}


def test_a_circle_and_a_hidden_import_are_seen() -> None:
    hidden = ast.parse("if TYPE_CHECKING:\n    from ._client import Client\n")
    assert nested(hidden) == [2]
    with pytest.raises(CycleError):
        TopologicalSorter({"_proxy": imported(hidden), "_client": {"_proxy"}}).prepare()
