"""completions/weir.bash, from completion.bash.in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from .command_tree import Command, Program

TEMPLATE = Path(__file__).parent / "completion.bash.in"


def quoted(text: str) -> str:
    """One word for bash."""
    return "'" + text.replace("'", "'\\''") + "'"


def pattern(words: Iterable[str]) -> str:
    return "|".join(quoted(word) for word in words)


FILE_TYPES = ("FILE", "PATH")


def value_cases(command: Command, path: str) -> list[str]:
    """case branches: what completes after an option that takes a value."""
    out = []
    for option in command.options:
        if not option.takes_value():
            continue
        if option.choices:
            action = f"_weir_words {quoted(' '.join(option.choices))}"
        elif option.type_name in FILE_TYPES:
            action = "_weir_files"
        elif "--proxy" in option.names:
            action = "_weir_live proxy list"
        else:
            continue
        out.append(f"    {pattern(f'{path}:{name}' for name in option.names)}) {action} ;;")
    return out


def live_names(command: Command) -> str:
    """bash that completes the names of proxies and faults of a running weir, where a command takes such."""
    positionals = [positional.names[0] for positional in command.positionals]
    if positionals[:1] != ["PROXY"] or command.name == "add" and command.words[1] == "proxy":
        return ""  # a new proxy's name is nowhere to be found
    cases = ["0) _weir_live proxy list ;;"]
    if positionals[1:2] == ["FAULT"]:
        cases.append('1) _weir_live fault list "${arguments[0]}" ;;')
    choices = command.positionals[-1].choices
    if choices:
        cases.append(f"*) _weir_words {quoted(' '.join(choices))} ;;")
    return f"case ${{#arguments[@]}} in {' '.join(cases)} esac"


def words_case(command: Command, path: str) -> str:
    names = [name for option in command.options for name in option.names]
    branch = f'    {quoted(path)}) if [[ $word == -* ]]; then _weir_words {quoted(" ".join(names))}'
    live = live_names(command)
    if live:
        return f"{branch}; else {live}; fi ;;"
    commands = " ".join(each.name for each in command.commands)
    if commands:
        return f"{branch}; else _weir_words {quoted(commands)}; fi ;;"
    if any(positional.type_name in FILE_TYPES for positional in command.positionals):
        return f"{branch}; else _weir_files; fi ;;"
    return f"{branch}; fi ;;"


def completion(root: Program, _committed: str) -> str:
    every = [root, *root.all_below()]
    valued = [f"{' '.join(command.words)}:{name}" for command in every for option in command.options
              if option.takes_value() for name in option.names]
    values = [line for command in every for line in value_cases(command, " ".join(command.words))]
    # A pattern that no word matches stands where a list would be empty.
    fill = {"@NAME@": root.name, "@VALUED@": pattern(valued) or "''",
            "@COMMANDS@": pattern(" ".join(command.words) for command in every[1:]) or "''",
            "@VALUES@": "\n".join(values) or "    '') ;;",
            "@WORDS@": "\n".join(words_case(each, " ".join(each.words)) for each in every)}
    return re.sub("|".join(fill), lambda match: fill[match.group()], TEMPLATE.read_text(encoding="utf-8"))
