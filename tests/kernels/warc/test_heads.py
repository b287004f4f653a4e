"""Scanning heads, against a slow and simple implementation."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from swallow_spark.kernels.warc.heads import ABSENT, UNPLAIN, names, scan_head

FIELDS = ("content-length", "warc-type", "content-type")
TABLE = names(*FIELDS)
PIECES = [
    "Content-Length",
    "warc-TYPE",
    "content-type",
    "X-Content-Type",
    ":",
    ": ",
    " : ",
    "\t",
    "a",
    "\r\n",
    "\n",
    "\r",
]
LINES = st.lists(st.sampled_from([*PIECES, "\r\n", "\r\n", "Content-Type: a/b\r\n", " folded\n"]), max_size=14)


def slowly(data: bytes) -> tuple[int, int, list[tuple[int, int]], bool]:
    empty = re.compile(rb"\n(\r*\n)").search(data)
    end = empty.start(1) if empty else -1
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in FIELDS}
    odd, last, at = False, None, data.find(b"\n") + 1 or len(data)
    while at < (end if empty else len(data)):
        line = data[at:].split(b"\n")[0]
        name = line.partition(b":")[0].rstrip(b" \t").decode("latin-1").lower()
        if line[:1] in (b" ", b"\t"):
            odd |= not last
            if last in found:
                found[last].append((UNPLAIN, UNPLAIN))
        elif b":" in line:
            last = name
            odd |= bool(set(line.partition(b":")[0]) & set(range(32)) - {9})
            if last in found:
                found[last].append((at + line.index(b":") + 1, at + len(line)))
        at += len(line) + 1
    spans = [
        (ABSENT, ABSENT) if not places else places[0] if len(places) == 1 else (UNPLAIN, UNPLAIN)
        for places in found.values()
    ]
    return end, empty.end(1) if empty else -1, spans, odd


@given(LINES)
@settings(max_examples=500)
def test_equals_the_slow_way(pieces: list[str]) -> None:
    data = ("WARC/1.0\r\n" + "".join(pieces)).encode()
    end, body, *flat, odd = scan_head(data, 0, 1 << 16, TABLE)
    assert (end, body, list(zip(flat[::2], flat[1::2], strict=True)), odd) == slowly(data)


def test_limit() -> None:
    head = b"WARC/1.0\r\nA: b\r\n\r\nbody"
    assert scan_head(head, 0, len(head), TABLE)[:2] == (16, 18)
    assert scan_head(head, 0, 18, TABLE).body == 18
    assert scan_head(head, 0, 17, TABLE).end == scan_head(b"", 0, 9, TABLE).end == -1
