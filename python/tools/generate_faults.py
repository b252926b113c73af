#!/usr/bin/python3
"""python/tools/generate_faults.py [--check]: src/weir/_faults.py, from the catalog of a live `weir serve`.

(nothing) writes the file; --check writes nothing, and fails if the file is not what would be written.
WEIR_BIN says which weir is asked (default: what stands in build/release, else PATH). Does not import the
package, which cannot be imported without the file.
"""

from __future__ import annotations

import difflib
import http.client
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Dict, List, Tuple

TARGET = Path(__file__).resolve().parents[1] / "src" / "weir" / "_faults.py"
BUILT = Path(__file__).resolve().parents[2] / "build" / "release" / "src" / "cli" / "weir"

HEAD = '''\
"""A method for every fault of the catalog. Written by tools/generate_faults.py from a live server: do not edit."""

from __future__ import annotations

from typing import Any, Dict, Generic, Literal, Mapping, Optional, TypeVar

from ._text import (
    After,
    Bytes,
    Duration,
    Rate,
    Size,
    as_duration,
    as_hex,
    as_optional_after,
    as_optional_duration,
    as_rate,
)

Direction = Literal["upstream", "downstream", "both"]
Scope = Literal["session", "client", "proxy"]
Messages = Literal[{messages}]
Made = TypeVar("Made", covariant=True)


class FaultMethods(Generic[Made]):
    """What a proxy can do to its sessions. Nothing happens before the result is entered, or created.

    Of every fault: `probability` is the part of the sessions it applies to, `match` a client's address or network,
    `scope` what shares one draw, `after` when in a session it begins, `for_` how long it lasts. `on` makes it one
    for messages of that kind alone: `nth` is the first that is selected, `every` then one in so many.
    """

    def _make_fault(self, type: str, attributes: Mapping[str, Any]) -> Made:
        raise NotImplementedError
'''

# The type in Python, the default as Python writes it, and how a value is sent.
KINDS = {
    "duration": ("Duration", repr, "as_duration({})"),
    "size": ("Size", lambda text: text, "{}"),
    "rate": ("Rate", repr, "as_rate({})"),
    "count": ("int", lambda text: text, "{}"),
    "fraction": ("float", lambda text: repr(float(text)), "{}"),
    "hex": ("Bytes", repr, "as_hex({})"),
    "word": ("", repr, "{}"),
}
KEYWORDS = ("with", "for", "from", "in", "is")


def ask_live(binary: str, path: str) -> Dict[str, Any]:
    """What a server of this program, started for it, answers to GET `path`."""
    read_end, write_end = os.pipe()
    server = subprocess.Popen([binary, "serve", "--api", "127.0.0.1:0", "--quiet", "--ready-fd", str(write_end)],
                              pass_fds=[write_end])
    try:
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            where = ready.readline().strip().rpartition(" on ")[2]
        connection = http.client.HTTPConnection(where, timeout=30)
        connection.request("GET", path)
        answer: Dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer
    finally:
        server.terminate()
        server.wait()


def parameter(attribute: Dict[str, Any]) -> Tuple[str, str, str]:
    """Name, "annotation = default", and what is sent."""
    name = attribute["name"] + ("_" if attribute["name"] in KEYWORDS else "")
    annotation, default, sent = KINDS[attribute["kind"]]
    if attribute["kind"] == "word":
        annotation = "Literal[" + ", ".join(json.dumps(word) for word in attribute["words"]) + "]"
    if attribute["optional"]:
        value = sent.format(name) if sent == "{}" else f"None if {name} is None else {sent.format(name)}"
        return name, f"Optional[{annotation}] = None", value
    return name, f"{annotation} = {default(str(attribute['default'])).replace(chr(39), chr(34))}", sent.format(name)


def method(fault: Dict[str, Any]) -> str:
    attributes = [(each, *parameter(each)) for each in fault["attributes"]]
    common = [("probability", "float = 1.0", "probability"), ("match", "Optional[str] = None", "match"),
              ("scope", "Optional[Scope] = None", "scope")]
    if fault["phase"] == "stream":
        common.insert(0, ("direction", f'Direction = "{fault["direction"]}"', "direction"))
        common += [("after", "Optional[After] = None", "as_optional_after(after)"),
                   ("for_", "Optional[Duration] = None", "as_optional_duration(for_)"),
                   ("on", "Optional[Messages] = None", "on"),
                   ("nth", "Optional[int] = None", "nth"), ("every", "Optional[int] = None", "every")]
    common.append(("name", "Optional[str] = None", "name"))
    own = [f"{name}: {what}" for _, name, what, _ in attributes]
    signature = ["self", *own[:1], "*", *own[1:], *(f"{name}: {what}" for name, what, _ in common)]
    text = "def {}({}) -> Made:".format(fault["type"], wrapped(signature, len(fault["type"]) + 9))
    doc = [f'"""{fault["doc"]}', ""]
    doc += [f"{name}: {each['doc']} ({each['values']})." for each, name, _, _ in attributes]
    doc = doc[:1] if not attributes else doc
    sent = [(each["name"], value) for each, _, _, value in attributes]
    sent += [(name, value) for name, _, value in common]
    body = [f'"{name.rstrip("_")}": {value},' for name, value in sent]
    out = ["", textwrap.indent(text, "    ")]
    out += [("        " + line).rstrip() for line in doc_lines(doc)]
    out += [f'        return self._make_fault("{fault["type"]}", {{']
    out += ["            " + line for line in body]
    out += ["        })"]
    return "\n".join(out) + "\n"


def directions(catalog: List[Dict[str, Any]]) -> str:
    lines = [f'    "{each["type"]}": ' + (f'"{each["direction"]}",' if each["phase"] == "stream" else "None,")
             for each in catalog]
    return "\n".join(["", "", "#: What each fault's direction is by default; None: it has none.",
                      "DIRECTIONS: Dict[str, Optional[str]] = {", *lines, "}"]) + "\n"


def wrapped(parameters: List[str], indent: int) -> str:
    """Parameters, a line of which is at most 116 characters with `indent` before it."""
    lines = [""]
    for position, each in enumerate(parameters):
        piece = each + ("" if position + 1 == len(parameters) else ",")
        if len(lines[-1]) + 1 + len(piece) > 105 - indent and lines[-1]:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + piece
    return ("\n" + " " * (indent - 4)).join(lines)


def doc_lines(doc: List[str]) -> List[str]:
    if len(doc) == 1:
        return [doc[0] + '"""']
    lines: List[str] = []
    for each in doc:
        lines += textwrap.wrap(each, 108, subsequent_indent="    ") or [""]
    return [*lines, '"""']


def main() -> int:
    binary = os.environ.get("WEIR_BIN") or (str(BUILT) if BUILT.exists() else "weir")
    answer = ask_live(binary, "/api/v1/catalog")
    catalog: List[Dict[str, Any]] = answer["faults"]
    messages = ", ".join(json.dumps(each["name"]) for each in answer["messages"])
    text = HEAD.replace("{messages}", messages) + "".join(map(method, catalog)) + directions(catalog)
    if sys.argv[1:] != ["--check"]:
        TARGET.write_text(text)
        return 0
    there = TARGET.read_text() if TARGET.exists() else ""
    if there == text:
        return 0
    changes = difflib.unified_diff(there.splitlines(True), text.splitlines(True), str(TARGET), "the catalog")
    sys.stdout.writelines(changes)
    print(f"{TARGET} is not what the catalog of {binary} says: run python/tools/generate_faults.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
