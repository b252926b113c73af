"""What `weir help-json` prints, checked as it is read.

The tree, where a key with a value below may be left out and means that:

  COMMAND  {"name", "description", "footer": "", "options": [OPTION...], "commands": [COMMAND...]}
           and "version", in which a number such as 1.2.3 stands, "faults": [FAULT...] and
           "settings": [{"name", "values", "default", "takes_effect", "doc"}...] for the root
  FAULT    {"type", "doc", "details", "differs": "", "classic", "stream", "direction", "attributes": [ATTRIBUTE...]}
           of which an attribute is {"name", "values", "default", "doc", "classic"}
  OPTION   {"names": ["-s", "--show"] or ["LISTEN"], "description", "type_name": "" (it takes no value),
            "default": "", "choices": [] (what completes; one that ends in "=" expects more), "required": false,
            "repeatable": false, "positional": (its first name has no dash)}

A footer is paragraphs of unindented lines, and lists of indented ones, whose columns (what is typed, its
default if there are three, what it does) stand two blanks or more apart. "Examples:" and "Exit codes:" of
the root's footer become sections of the man page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
Entry = Mapping[str, Any]  # of a catalog


class BadTree(Exception):
    """The JSON is not the command tree that is expected; the text names the place."""


def field(record: Mapping[str, Any], key: str, kind: type[T], where: str, default: T | None = None) -> T:
    value = record.get(key, default)
    if not isinstance(value, kind):
        raise BadTree(f'{where}: "{key}" should be a {kind.__name__}, and is {value!r}')
    return value


class Option:
    def __init__(self, record: Mapping[str, Any], where: str) -> None:
        self.names: list[str] = field(record, "names", list, where)
        if not self.names or not all(isinstance(name, str) and name for name in self.names):
            raise BadTree(f'{where}: "names" should be strings, at least one, and is {self.names!r}')
        where = f"{where} {self.names[-1]}"
        self.type_name = field(record, "type_name", str, where, "")
        self.default = field(record, "default", str, where, "")
        self.description = field(record, "description", str, where)
        self.choices = [str(choice) for choice in field(record, "choices", list, where, [])]
        self.required = field(record, "required", bool, where, False)
        self.repeatable = field(record, "repeatable", bool, where, False)
        self.positional = field(record, "positional", bool, where, not self.names[0].startswith("-"))

    def takes_value(self) -> bool:
        return not self.positional and bool(self.type_name)


class Command:
    def __init__(self, record: Mapping[str, Any], parents: tuple[str, ...] = ()) -> None:
        self.name = field(record, "name", str, " ".join(parents) or "the root")
        self.words = (*parents, self.name)
        where = " ".join(self.words)
        self.description = field(record, "description", str, where)
        self.footer = field(record, "footer", str, where, "")
        options = [Option(each, where) for each in field(record, "options", list, where)]
        self.options = [option for option in options if not option.positional]
        self.positionals = [option for option in options if option.positional]
        self.commands = [Command(each, self.words) for each in field(record, "commands", list, where)]

    def all_below(self) -> Iterator[Command]:
        for command in self.commands:
            yield command
            yield from command.all_below()


class Program(Command):
    """The root of the tree, with the catalogs."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        super().__init__(record)
        # Only the version itself: a commit and a compiler in a committed page would never be up to date.
        found = re.search(r"\d+\.\d+(\.\d+)?", field(record, "version", str, self.name))
        if not found:
            raise BadTree(f'{self.name}: "version" should hold a number such as 1.2.3, and is {record["version"]!r}')
        self.version = found.group()
        self.faults: list[Entry] = field(record, "faults", list, self.name, [])
        self.settings: list[Entry] = field(record, "settings", list, self.name, [])
        self.causes: list[Entry] = field(record, "causes", list, self.name, [])


def read_program(text: str) -> Program:
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadTree(f"not JSON: {error}") from error
    return Program(record)
