"""The elements of a JSON array, one at a time, plain or compressed with gzip or zstd."""

import codecs
import json
from collections.abc import Iterator
from typing import Any, Final

from swallow_spark.kernels.text import jsonl
from swallow_spark.kernels.text.jsonl import Line
from swallow_spark.kernels.text.packed import DamagedError, unpacked

_BLANK: Final = " \t\n\r"


def read(stream: Any, *, max_bytes: int) -> Iterator[Line]:
    """The values of a stream (with `read`): the elements of the array that it is, otherwise its lines.

    Numbers begin at 1. Raises OSError or pyarrow.ArrowException where the stream is cut or damaged, and DamagedError
    where it is no longer JSON or an element is larger than `max_bytes`, after all elements before.
    """
    pieces = unpacked(stream)
    first = b""
    for piece in pieces:
        first += piece
        if len(first) >= len(codecs.BOM_UTF8):
            first = first.removeprefix(codecs.BOM_UTF8).lstrip()
            if first:
                break
    if first.startswith(b"["):
        yield from _elements(first, pieces, max_bytes)
    else:
        yield from jsonl.of_pieces(_with(first, pieces), max_bytes)


def _with(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from pieces


def _elements(first: bytes, pieces: Iterator[bytes], max_bytes: int) -> Iterator[Line]:
    """The text that isn't parsed yet doubles until it holds an element, so that parsing again adds little."""
    decoder, parse = codecs.getincrementaldecoder("utf-8")(), json.JSONDecoder().raw_decode
    text, at, number, is_all = "", 0, 0, False
    wanted = 0  # characters that are known not to be a whole element
    mark = "["  # that the next element is behind
    more = _with(first, pieces)
    while True:
        while not is_all and len(text) - at <= wanted:
            piece = next(more, b"")
            is_all = not piece
            try:
                text = text[at:] + decoder.decode(piece, is_all)
            except UnicodeDecodeError as error:
                raise DamagedError(f"not UTF-8 behind element {number}: {error}") from None
            at = 0
        at = _behind(text, at, _BLANK)
        if mark and text[at : at + 1] == mark:
            at, mark = _behind(text, at + 1, _BLANK), ""
        if at == len(text) and not is_all:
            continue
        if text[at : at + 1] == "]" and (mark or not number):
            if (text[at + 1 :] + decoder.decode(b"".join(more), True)).strip(_BLANK + "\0"):
                raise DamagedError("something else behind the JSON array")
            return
        if mark and at < len(text):
            raise DamagedError(f"no comma behind element {number} of the JSON array")
        try:
            value, end = parse(text, at)
            may_go_on = isinstance(value, int | float) and text[end : end + 1] not in (*_BLANK, ",", "]")
            is_whole = is_all or (end < len(text) and not may_go_on)
        except (ValueError, RecursionError) as error:
            value, end, is_whole, problem = None, at, False, str(error)[:200]
        if is_whole:
            number += 1
            size = len(text[at:end].encode("utf-8", "surrogatepass"))
            too_large = ("record_too_large", f"over {max_bytes} bytes")
            yield Line(number, size, value) if size <= max_bytes else Line(number, max_bytes, problem=too_large)
            at, wanted, mark = end, 0, ","
        elif is_all:
            what = "cut" if at >= len(text) else problem
            raise DamagedError(f"the JSON array is damaged behind element {number}: {what}")
        elif len(text) - at > max_bytes:
            raise DamagedError(f"element {number + 1} of the JSON array is damaged, or over {max_bytes} bytes")
        else:
            wanted = 2 * (len(text) - at)


def _behind(text: str, at: int, blanks: str) -> int:
    while at < len(text) and text[at] in blanks:
        at += 1
    return at
