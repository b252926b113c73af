"""The streams back out of what a view printed: if a view is lossless, this is where it is proven.

The line views (text, hex, dump) share one frame: headers and session lines begin in the first column,
payload stands two spaces in.
"""

import json
import re
import urllib.parse

from session_log import DIRECTIONS, read_sessions

CHUNK_HEADER = re.compile(
    rb"^\d\d:\d\d:\d\d\.\d{6} +(?:\+\S+ )?#(?P<session>\d+) (?P<arrow>\xe2\x86\x92|\xe2\x86\x90|->|<-) "
    rb"(?P<bytes>\d+) bytes?(?:, (?P<cut>\d+) of them cut)?$")
SESSION_LINE = re.compile(
    rb"^\d\d:\d\d:\d\d\.\d{6} +#(?P<session>\d+) (?:opened: |half-closed |looks like |(?P<closed>closed by ))")
DATE_LINE = re.compile(rb"^-- \d{4}-\d\d-\d\d \(UTC[+-]\d\d:\d\d\)$")
GAP_LINE = re.compile(rb"^\d\d:\d\d:\d\d\.\d{6} +gap: ")
UPSTREAM_ARROWS = (b"\xe2\x86\x92", b"->")


def from_text_line(line):
    return urllib.parse.unquote_to_bytes(line)


def from_hex_line(line):
    return bytes.fromhex(line.decode("ascii"))


def from_dump_line(line):
    digits = line.split(b"  ", 1)[1].split(b"|", 1)[0]
    return bytes.fromhex(digits.decode("ascii"))


FROM_LINE = {"text": from_text_line, "hex": from_hex_line, "dump": from_dump_line}


def read_line_view(kind, output):
    """{session: {direction: bytes}} of a text, hex or dump view. Every line must be understood, and
    every chunk's payload must have the size that its header promises."""
    streams = {}
    current, promised = None, 0

    def chunk_is_whole():
        assert promised == 0, f"{promised} bytes short of what the header promised"

    for line in output.split(b"\n")[:-1]:
        if line.startswith(b"  "):
            assert current is not None, f"payload without a header: {line!r}"
            data = FROM_LINE[kind](line[2:])
            current += data
            promised -= len(data)
            continue
        chunk_is_whole()
        current = None
        if header := CHUNK_HEADER.match(line):
            directions = streams.setdefault(int(header["session"]), {name: bytearray() for name in DIRECTIONS})
            current = directions[DIRECTIONS[0 if header["arrow"] in UPSTREAM_ARROWS else 1]]
            promised = int(header["bytes"]) - int(header["cut"] or 0)
            continue
        assert SESSION_LINE.match(line) or DATE_LINE.match(line) or GAP_LINE.match(line), f"unknown line: {line!r}"
    chunk_is_whole()
    assert output.endswith(b"\n") or not output, "the last line is not ended"
    return streams


def read_json_view(output):
    """{session: {direction: bytes}} of a JSON view."""
    events = [json.loads(line) for line in output.splitlines()]
    return {number: session.streams for number, session in read_sessions(events).items()}


def control_characters(output):
    """Bytes that would move a terminal's cursor or worse (a newline is the view's own)."""
    return sorted({byte for byte in output if (byte < 0x20 and byte != 0x0a) or byte == 0x7f})
