#!/usr/bin/python3
"""python/tools/generate_settings.py [--check]: src/weir/_settings.py, from the settings that a live `weir serve` knows.

As generate_faults.py: (nothing) writes the file, --check compares, WEIR_BIN says which weir is asked.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
import textwrap
from pathlib import Path
from typing import Any, Dict, List, Tuple

from generate_faults import BUILT, ask_live, wrapped

TARGET = Path(__file__).resolve().parents[1] / "src" / "weir" / "_settings.py"

HEAD = '''\
"""The settings of a proxy. Written by tools/generate_settings.py from a live server: do not edit."""

from __future__ import annotations

from typing import Any, Dict, Generic, Literal, Mapping, Optional, TypeVar

from ._text import Duration, Size, as_duration

Made = TypeVar("Made", covariant=True)

'''


def parameter(setting: Dict[str, Any]) -> Tuple[str, str]:
    """The annotation with the default."""
    kind, default = setting["kind"], setting["default"]
    if setting["required"]:
        return "str", ""
    if kind == "flag":
        return "bool", default.capitalize()
    if kind == "count":
        return ("Optional[int]", "None") if setting["may_be_off"] else ("int", default)
    if kind == "word":
        return "Literal[" + ", ".join(json.dumps(word) for word in setting["words"]) + "]", json.dumps(default)
    return {"size": "Size", "duration": "Duration"}.get(kind, "str"), json.dumps(default)


def page(settings: List[Dict[str, Any]]) -> str:
    own = [each for each in settings if "." not in each["name"]]
    timeouts = [each["name"].partition(".")[2] for each in settings if each["name"].startswith("timeouts.")]
    required = [each for each in own if each["required"]]
    signature = ["self", "name: str", *(f"{each['name']}: {parameter(each)[0]}" for each in required), "*"]
    signature += ["{}: {} = {}".format(each["name"], *parameter(each)) for each in own if not each["required"]]
    signature += ["timeouts: Optional[Mapping[Timeout, Duration]] = None"]
    doc = ["A proxy of this client's. Nothing happens before the result is entered, or created.", ""]
    doc += [f"{each['name']}: {each['doc']}." for each in own]
    doc += ['timeouts: By name, such as {"connect": "500ms", "idle": "off"}.']
    lines = [f"Timeout = Literal[{wrapped([json.dumps(name) for name in timeouts], 22)}]", "", "",
             "class ProxyMethod(Generic[Made]):", '    """How a client makes a proxy."""', "",
             "    def _make_proxy(self, name: str, wish: Dict[str, Any]) -> Made:",
             "        raise NotImplementedError", "",
             textwrap.indent(f"def proxy({wrapped(signature, 14)}) -> Made:", "    "), '        """' + doc[0], ""]
    for line in doc[2:]:
        lines += textwrap.wrap(line, 116, initial_indent=" " * 8, subsequent_indent=" " * 12)
    lines += ['        """', "        wish: Dict[str, Any] = {"]
    always = [each for each in own if each["required"] or not each["may_be_off"]]
    lines += [f'            "{each["name"]}": {each["name"]},' for each in always]
    lines += ["        }"]
    for each in own:
        if each["may_be_off"]:
            lines += [f"        if {each['name']} is not None:", f'            wish["{each["name"]}"] = {each["name"]}']
    lines += ["        if timeouts:",
              '            wish["timeouts"] = {key: as_duration(value) for key, value in timeouts.items()}',
              "        return self._make_proxy(name, wish)"]
    return HEAD + "\n".join(lines) + "\n"


def main() -> int:
    binary = os.environ.get("WEIR_BIN") or (str(BUILT) if BUILT.exists() else "weir")
    text = page(ask_live(binary, "/api/v1/settings")["settings"])
    if sys.argv[1:] != ["--check"]:
        TARGET.write_text(text)
        return 0
    there = TARGET.read_text() if TARGET.exists() else ""
    if there == text:
        return 0
    changes = difflib.unified_diff(there.splitlines(True), text.splitlines(True), str(TARGET), "the catalog")
    sys.stdout.writelines(changes)
    print(f"{TARGET} is not what {binary} knows of settings: run python/tools/generate_settings.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
