"""docs/man/weir.1, in man(7) macros."""

from __future__ import annotations

import datetime
import os
import re
import textwrap

from .command_tree import Command, Option, Program

DATE = re.compile(r"^(\.TH \S+ \S+ )(\S+)", re.MULTILINE)


def escaped(text: str) -> str:
    """Text as roff reads it back: no escape, control line or hyphen that was not meant."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = "".join(char if ord(char) < 128 else f"\\[u{ord(char):04X}]" for char in text)
    return guarded(text)


def guarded(line: str) -> str:
    """A line that roff does not take for a request."""
    return "\\&" + line if line.startswith((".", "'")) else line


def prose(text: str) -> str:
    """Text to be filled, as lines of at most 80 characters; roff breaks them anew when it is read."""
    words = escaped(text)
    return "\n".join(guarded(line) for line in
                     textwrap.wrap(words, 80, break_long_words=False, break_on_hyphens=False))


def bold(text: str) -> str:
    return f"\\fB{escaped(text)}\\fR"


def italic(text: str) -> str:
    return f"\\fI{escaped(text)}\\fR"


def option_tag(option: Option) -> str:
    shown = ", ".join(bold(name) for name in option.names)
    return f"{shown} {italic(option.type_name)}" if option.takes_value() else shown


def option_text(option: Option) -> str:
    text = option.description.rstrip(".")
    # A flag's default, "false", says nothing.
    if option.default and option.takes_value():
        text += f" (default: {option.default})"
    return prose(text + ".")


def tagged(tag: str, text: str) -> list[str]:
    return [".TP", tag, text] if text else [".TP", tag, "\\&"]


# Blocks of the root's footer that have a section of their own in every man page (man-pages(7)).
SECTIONS = (("Exit codes:", "EXIT STATUS"), ("Examples:", "EXAMPLES"))


def paragraphs_of(footer: str) -> list[tuple[list[str], list[str]]]:
    """The footer's blocks: (lines without indent, lines that were indented below them)."""
    blocks: list[tuple[list[str], list[str]]] = []
    for line in footer.splitlines():
        if not line.strip():
            blocks.append(([], []))
        elif line[0].isspace():
            if not blocks:
                blocks.append(([], []))
            blocks[-1][1].append(line.strip())
        else:
            if not blocks or blocks[-1][1] or line.startswith(tuple(start for start, _ in SECTIONS)):
                blocks.append(([], []))
            blocks[-1][0].append(line.strip())
    return [block for block in blocks if block[0] or block[1]]


def listed(lines: list[str]) -> list[str]:
    """Indented lines: "what one types   two or more blanks   what it does", as a list."""
    out: list[str] = []
    for line in lines:
        columns = re.split(r"\s{2,}", line, maxsplit=2)
        # Three columns are a name, its default and its meaning.
        tag = bold(columns[0]) + (f" ({escaped(columns[1])})" if len(columns) == 3 else "")
        out += tagged(tag, prose(columns[-1]) if len(columns) > 1 else "")
    return out


def footer_lines(footer: str) -> list[str]:
    out: list[str] = []
    for words, indented in paragraphs_of(footer):
        if words:
            out += [".PP", prose(" ".join(words))]
        out += listed(indented)
    return out


def root_sections(footer: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    out: list[tuple[str, list[str]]] = []
    rest: list[str] = []
    blocks = paragraphs_of(footer)
    for words, indented in blocks:
        for start, title in SECTIONS:
            if words and words[0].startswith(start):
                first = words[0][len(start):].strip()
                said = [word for word in (first[:1].upper() + first[1:], *words[1:]) if word]
                out.append((title, ([prose(" ".join(said))] if said else []) + listed(indented)))
                break
        else:
            rest += [".PP", prose(" ".join(words)), *listed(indented)]
    out.sort(key=lambda section: [title for _, title in SECTIONS].index(section[0]))
    return rest, out


def synopsis(command: Command) -> str:
    words = [bold(" ".join(command.words))]
    if command.options:
        words.append(f"[{italic('OPTION')} ...]")
    for positional in command.positionals:
        name = italic(positional.names[0]) + (" ..." if positional.repeatable else "")
        words.append(name if positional.required else f"[{name}]")
    if command.commands:
        words.append(f"{italic('COMMAND')} ...")
    return " ".join(words)


def command_section(command: Command) -> list[str]:
    out = [f'.SS "{escaped(" ".join(command.words))}"', synopsis(command), ".PP",
           prose(command.description.rstrip(".") + ".")]
    for positional in command.positionals:
        out += tagged(italic(positional.names[0]), option_text(positional))
    for option in command.options:
        out += tagged(option_tag(option), option_text(option))
    return out + footer_lines(command.footer)


def page_dated(root: Program, date: str) -> str:
    title = root.name.upper()
    rest, sections = root_sections(root.footer)
    out = [f'.\\" Written by scripts/generate-docs from "{root.name} help-json": change the program, not this page.',
           f'.TH {title} 1 {date} "{root.name} {root.version}" "User Commands"', ".SH NAME",
           f"{escaped(root.name)} \\- {escaped(root.description.rstrip('.'))}", ".SH SYNOPSIS"]
    runnable = [command for command in root.all_below() if not command.commands] or [root]
    for command in runnable:
        out += [synopsis(command), ".br"]
    out += [f"{bold(root.name)} {bold(root.options[0].names[-1])}" if root.options else bold(root.name)]
    out += [".SH DESCRIPTION", prose(root.description.rstrip(".") + "."), *rest]
    if root.options:
        out.append(".SH OPTIONS")
        for option in root.options:
            out += tagged(option_tag(option), option_text(option))
    if root.commands:
        out.append(".SH COMMANDS")
        for command in root.all_below():
            out += command_section(command)
    for name, lines in sections:
        # A list needs no paragraph before it, and text none right after a heading.
        out += [f'.SH "{name}"', *lines]
    return "\n".join(out) + "\n"


def today() -> str:
    """The date of a reproducible build if one is asked for (SOURCE_DATE_EPOCH), else of this day."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.datetime.now(datetime.timezone.utc) if epoch is None else datetime.datetime.fromtimestamp(
        int(epoch), datetime.timezone.utc)
    return moment.strftime("%Y-%m-%d")


def man_page(program: Program, committed: str) -> str:
    """The page keeps its date as long as nothing else in it changes."""
    date = DATE.search(committed)
    page = page_dated(program, date.group(2) if date else today())
    return page if page == committed else page_dated(program, today())
