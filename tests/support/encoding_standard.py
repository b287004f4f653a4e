"""The decoders of the WHATWG Encoding Standard, byte by byte as it writes them (https://encoding.spec.whatwg.org).

Where the standard gives a U+FFFD for a character that the end of the input cuts, these give nothing, as our code does.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Final

Index = Mapping[int, str]
WRONG: Final = "\ufffd"


def _index(codec: str, sequences: Mapping[int, bytes]) -> dict[int, str]:
    found = {}
    for pointer, sequence in sequences.items():
        try:
            found[pointer] = sequence.decode(codec)
        except UnicodeDecodeError:
            continue
    return found


def _two_bytes(first: int, trails: list[int]) -> dict[int, bytes]:
    return {n: bytes(pair) for n, pair in enumerate(product(range(first, 0xFF), trails))}


_SJIS_PAIRS = product([*range(0x81, 0xA0), *range(0xE0, 0xFD)], [*range(0x40, 0x7F), *range(0x80, 0xFD)])
_EUC_PAIRS = list(product(range(0xA1, 0xFF), repeat=2))
# Python's tables, which the digests below compare with the standard's.
JIS0208: Final = _index(
    "cp932", {n: bytes(pair) for n, pair in enumerate(_SJIS_PAIRS) if not 8836 <= n <= 10715}  # private use
)  # fmt: skip
JIS0212: Final = _index("euc_jp", {n: b"\x8f" + bytes(pair) for n, pair in enumerate(_EUC_PAIRS)}) | {116: "\uff5e"}
EUC_KR: Final = _index("cp949", _two_bytes(0x81, [*range(0x41, 0xFF)]))
BIG5: Final = _index("big5hkscs", _two_bytes(0x81, [*range(0x40, 0x7F), *range(0xA1, 0xFF)]))
GB18030: Final = _index("gb18030", _two_bytes(0x81, [*range(0x40, 0x7F), *range(0x80, 0xFF)]))


def digest(index: Index) -> str:
    """Identifies an index: SHA-256 of its lines, `pointer TAB code point in hexadecimal`."""
    lines = (f"{pointer}\t{ord(index[pointer]):X}\n" for pointer in sorted(index))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _shift_jis(data: bytes) -> Iterator[str]:
    lead = at = 0
    while at < len(data):
        byte = data[at]
        at += 1
        if lead:
            pointer, first, lead = None, lead, 0
            if 0x40 <= byte <= 0x7E or 0x80 <= byte <= 0xFC:
                pointer = (first - (0x81 if first < 0xA0 else 0xC1)) * 188 + byte - (0x40 if byte < 0x7F else 0x41)
            if pointer is not None and 8836 <= pointer <= 10715:
                yield chr(0xE000 - 8836 + pointer)
            elif pointer in JIS0208:
                yield JIS0208[pointer]
            else:
                yield WRONG
                at -= byte < 0x80
        elif byte <= 0x80:
            yield chr(byte)
        elif 0xA1 <= byte <= 0xDF:
            yield chr(0xFF61 - 0xA1 + byte)
        elif 0x81 <= byte <= 0x9F or 0xE0 <= byte <= 0xFC:
            lead = byte
        else:
            yield WRONG


def _euc_jp(data: bytes) -> Iterator[str]:
    lead = at = 0
    is_0212 = False
    while at < len(data):
        byte = data[at]
        at += 1
        if lead == 0x8E and 0xA1 <= byte <= 0xDF:
            lead = 0
            yield chr(0xFF61 - 0xA1 + byte)
        elif lead == 0x8F and 0xA1 <= byte <= 0xFE:
            lead, is_0212 = byte, True
        elif lead:
            found = None
            if 0xA1 <= lead <= 0xFE and 0xA1 <= byte <= 0xFE:
                found = (JIS0212 if is_0212 else JIS0208).get((lead - 0xA1) * 94 + byte - 0xA1)
            lead, is_0212 = 0, False
            yield found or WRONG
            at -= found is None and byte < 0x80
        elif byte < 0x80:
            yield chr(byte)
        elif byte in (0x8E, 0x8F) or 0xA1 <= byte <= 0xFE:
            lead = byte
        else:
            yield WRONG


def _iso_2022_jp(data: bytes) -> Iterator[str]:
    """Without the flag that gives a U+FFFD for an escape right behind another."""
    modes = {b"(B": "ascii", b"(J": "roman", b"(I": "katakana", b"$@": "lead", b"$B": "lead"}
    state = output = "ascii"
    lead = at = 0
    while at < len(data):
        byte = data[at]
        at += 1
        if state == "escape":
            if data[at - 1 : at + 1] in modes:
                state = output = modes[data[at - 1 : at + 1]]
                at += 1
            elif at - 1 + (byte in b"$(") < len(data):  # else the end cuts it
                state, at = output, at - 1
                yield WRONG
        elif byte == 0x1B:
            if state == "trail":
                yield WRONG
            state = "escape"
        elif state == "trail":
            found = JIS0208.get((lead - 0x21) * 94 + byte - 0x21) if 0x21 <= byte <= 0x7E else None
            state = "lead"
            yield found or WRONG
        elif state == "lead" and 0x21 <= byte <= 0x7E:
            lead, state = byte, "trail"
        elif state == "katakana" and 0x21 <= byte <= 0x5F:
            yield chr(0xFF61 - 0x21 + byte)
        elif state in ("ascii", "roman") and byte < 0x80 and byte not in (0x0E, 0x0F):
            yield {0x5C: "¥", 0x7E: "‾"}.get(byte, chr(byte)) if state == "roman" else chr(byte)
        else:
            yield WRONG


def _pairs(index: Index, width: int, trail_of: Callable[[int], int | None], data: bytes) -> Iterator[str]:
    """Characters of two bytes. `trail_of`: the second byte's part of the pointer."""
    lead = at = 0
    while at < len(data):
        byte = data[at]
        at += 1
        if lead:
            trail, first, lead = trail_of(byte), lead, 0
            found = None if trail is None else index.get((first - 0x81) * width + trail)
            yield found or WRONG
            at -= found is None and byte < 0x80
        elif byte < 0x80:
            yield chr(byte)
        elif 0x81 <= byte <= 0xFE:
            lead = byte
        else:
            yield WRONG


def _euc_kr(data: bytes) -> Iterator[str]:
    return _pairs(EUC_KR, 190, lambda byte: byte - 0x41 if 0x41 <= byte <= 0xFE else None, data)


def _big5(data: bytes) -> Iterator[str]:
    def trail_of(byte: int) -> int | None:
        return byte - 0x40 if 0x40 <= byte <= 0x7E else byte - 0x62 if 0xA1 <= byte <= 0xFE else None

    return _pairs(BIG5, 157, trail_of, data)


def _gb18030(data: bytes) -> Iterator[str]:
    """With Python's characters of four bytes."""
    at = 0
    while at < len(data):
        first, rest = data[at], data[at + 1 : at + 4]
        if first < 0x80:
            length = 1
            yield chr(first)
        elif not 0x81 <= first <= 0xFE:
            length = 1
            yield WRONG
        elif not rest:
            return
        elif 0x30 <= rest[0] <= 0x39:
            if not 0x81 <= (*rest, 0x81)[1] <= 0xFE or not 0x30 <= (*rest, 0x30, 0x30)[2] <= 0x39:
                length = 1
                yield WRONG
            elif len(rest) < 3:
                return
            else:
                length = 4
                yield data[at : at + 4].decode("gb18030", "replace")[:1]
        else:
            pointer = (first - 0x81) * 190 + rest[0] - (0x40 if rest[0] < 0x7F else 0x41)
            found = GB18030.get(pointer) if 0x40 <= rest[0] <= 0xFE and rest[0] != 0x7F else None
            length = 1 if found is None and rest[0] < 0x80 else 2
            yield found or WRONG
        at += length


def _utf_8(data: bytes) -> Iterator[str]:
    code, needed, lower, upper, at = 0, 0, 0x80, 0xBF, 0
    while at < len(data):
        byte = data[at]
        at += 1
        if needed:
            if lower <= byte <= upper:
                code, needed, lower, upper = code << 6 | byte & 0x3F, needed - 1, 0x80, 0xBF
                if not needed:
                    yield chr(code)
            else:
                needed, lower, upper, at = 0, 0x80, 0xBF, at - 1
                yield WRONG
        elif byte < 0x80:
            yield chr(byte)
        elif 0xC2 <= byte <= 0xF4:
            needed = 1 + (byte >= 0xE0) + (byte >= 0xF0)
            code = byte & (0x1F, 0x0F, 0x07)[needed - 1]
            lower, upper = {0xE0: 0xA0, 0xF0: 0x90}.get(byte, 0x80), {0xED: 0x9F, 0xF4: 0x8F}.get(byte, 0xBF)
        else:
            yield WRONG


def _utf_16_le(data: bytes) -> Iterator[str]:
    lead = 0
    for at in range(0, len(data) - 1, 2):
        unit = data[at] | data[at + 1] << 8
        first, lead = lead, 0
        if first and 0xDC00 <= unit <= 0xDFFF:
            yield chr(0x10000 + ((first - 0xD800) << 10) + unit - 0xDC00)
            continue
        if first:
            yield WRONG
        if 0xD800 <= unit <= 0xDBFF:
            lead = unit
        else:
            yield WRONG if 0xDC00 <= unit <= 0xDFFF else chr(unit)


_DECODERS: Final[Mapping[str, Callable[[bytes], Iterator[str]]]] = {
    "shift_jis": _shift_jis,
    "euc-jp": _euc_jp,
    "iso-2022-jp": _iso_2022_jp,
    "utf-8": _utf_8,
    "utf-16-le": _utf_16_le,
    "gb18030": _gb18030,
    "big5": _big5,
    "euc-kr": _euc_kr,
}


def decode(data: bytes, charset: str) -> str:
    """The text, with a U+FFFD for each error."""
    return "".join(_DECODERS[charset](data))
