"""The charset of a page, and its bytes as text.

The order of evidence: a BOM; ISO-2022-JP escapes; strict UTF-8; Shift_JIS or EUC-JP with enough kana; the declared
charset (HTTP, then the page) if the bytes are valid in it; otherwise a best guess, with U+FFFD for unreadable bytes.

Bytes are read as by the WHATWG Encoding Standard (https://encoding.spec.whatwg.org), by Python's codecs where these do
the same; tests compare the tables, and damaged pages with the standard's decoders. Shift_JIS, EUC-JP and ISO-2022-JP
use one table, CP932's (index jis0208): a page gives the same text in all three, including NEC and IBM extensions, and a
wave dash becomes U+FF5E. UTF-8 text is not changed and may have U+301C: normalising wave dashes and full-width tildes
would lose information. An unreadable lead byte takes the byte behind it along, unless that is ASCII: it may be a `<`.

More than the standard is read where it gives a U+FFFD and the text is known. In ISO-2022-JP: JIS X 0212, half-width
kana by SO and SI or as 8-bit bytes, UTF-8, and an escape right behind another. In pages of which much can't be read:
lines and elements in another charset.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from typing import Final, NamedTuple

import numpy as np
import webencodings

VERSION: Final = 2  # raise it when any page may be decoded differently
_DECLARATION_BYTES: Final = 4096  # browsers look at 1024 bytes; pages with long comments first are common
_SAMPLE_BYTES: Final = 1 << 16  # enough to find the charset of a damaged page
_MIN_KANA_FRACTION: Final = 0.15  # of the non-ASCII characters; Japanese prose has over 0.4, misread text under 0.02
_MAX_REPLACED_FRACTION: Final = 0.05  # of the non-ASCII characters, for UTF-8 with a few broken bytes

# Python's codecs for WHATWG charsets, if they have another name or know more of their characters.
_CODECS: Final = {
    "shift_jis": "cp932",
    "euc-jp": "euc_jp",
    "big5": "big5hkscs",
    "euc-kr": "cp949",
    "macintosh": "mac-roman",
    "windows-874": "cp874",
    "x-mac-cyrillic": "mac-cyrillic",
}
# Labels of Japanese and neighbouring pages that browsers don't know.
_MORE_LABELS: Final = {
    label: charset
    for charset, labels in {
        "utf-16le": "utf-16-le",
        "utf-16be": "utf-16-be",
        "shift_jis": "x-shift-jis cp932 shift_jis-2004",
        "euc-jp": "euc_jp eucjp x-euc ujis eucjp-ms eucjp-win",
        "iso-2022-jp": "iso2022jp iso-2022-jp-2 iso-2022-jp-ms jis cp50220 cp50221",
        "gb18030": "cp936",
        "big5": "big-5",
        "euc-kr": "euckr cp949 uhc",
        "windows-1252": "latin-1",
        "iso-8859-16": "iso8859-16",
    }.items()
    for label in labels.split()
}
# WHATWG names that are replaced; None: not a charset of text.
_NAMES: Final = {
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "gbk": "gb18030",
    "iso-8859-8-i": "iso-8859-8",
    "replacement": None,
    "x-user-defined": None,
}
_MIN_MIXED_CHARS: Final = 5  # that aren't ASCII; fewer are valid in some charset by chance
_MAX_PIECES: Final = 200_000  # of a page in several charsets; each is decoded in turn
# Where Python's codecs don't take as many bytes for a U+FFFD as the standard, if left alone.
_OWN_ERRORS: Final = frozenset({"shift_jis", "euc-jp", "gb18030", "big5", "euc-kr"})
_MULTIBYTE: Final = _OWN_ERRORS | {"utf-8"}

_HTTP_CHARSET: Final = re.compile(r"""charset\s*+=\s*+["']?+\s*+([\w.:-]++)""", re.IGNORECASE | re.ASCII)
_META: Final = re.compile(rb"<meta\b[^>]*", re.IGNORECASE)
_META_CHARSET: Final = re.compile(rb"""\bcharset\s*+=\s*+["']?+\s*+([\w.:-]++)""", re.IGNORECASE)
_XML_ENCODING: Final = re.compile(rb"""^\s*<\?xml\b[^>]{0,256}?\bencoding\s*=\s*["']([\w.:-]+)""", re.IGNORECASE)
_LONG_ASCII: Final = re.compile(rb"([\x00-\x7f])[\x00-\x7f]{3,}")  # the first may end a character
_PIECE: Final = re.compile(rb"[^<>\n]*[<>\n]*")  # its end is no byte of a character in any of the charsets
_COMMENT: Final = re.compile(rb"<!--.*?-->", re.DOTALL)
_LONG_KATAKANA: Final = re.compile("[ァ-ヶ]ー")
JIS_ESCAPE: Final = re.compile(rb"\x1b\$[@B]|\x1b\$\([DOQ]|\x1b\(I")
# Those of the standard, of JIS X 0212 and 0213, and one that old programs write for ASCII.
_JIS_MODE: Final = re.compile(rb"\x1b(\$[@B]|\([BJIH]|\$\([DOQ])")
_JIS_CUT: Final = re.compile(rb"\x1b(?:\$\(?|\()?\Z")
# What is no ASCII among it: half-width kana by SO and SI, and as two or more bytes; perhaps UTF-8; damage.
_JIS_SINGLE: Final = re.compile(
    "\x0e([!-_]+)(?:\x0f|\\Z)|(?<![\x80-\xff])([\xa1-\xdf]{2,})(?![\x80-\xff])"
    "|([\x80-\xff]{6,})|[\x0e\x0f\x1b\x80-\xff]"
)
_JIS_DOUBLE: Final = re.compile(rb"([!-~]{2})|\x0e([!-_]+)(?:\x0f|\Z)|[!-~](\x1b)|[!-~]?[^!-~]|([!-~])\Z")
_WRONG_EUC_JP: Final = b"\x8e\xff"  # gives a U+FFFD, whatever is behind it
_GR_PAIR: Final = re.compile(rb"[\xa1-\xfe]{2}")
_GB18030_LONG: Final = re.compile(rb"[\x81-\xfe][0-9][\x81-\xfe][0-9]")
_GRAPHIC: Final = bytes(range(0x21, 0x7F))
_TO_GR: Final = bytes(b | 0x80 if 0x21 <= b <= 0x7E else b for b in range(256))
_TO_KANA: Final = {b: 0xFEC0 + (b | 0x80) for b in (*range(0x21, 0x60), *range(0xA1, 0xE0))}
_ROMAN: Final = str.maketrans("\\~", "¥‾")
# From Python's EUC-JP to CP932, for characters of JIS X 0208 with different code points.
_TO_CP932: Final = str.maketrans("〜‖−¢£¬—", "～∥－￠￡￢―")
_TILDE_0212: Final = b"\x8f\xa2\xb7"  # U+FF5E, as is A1 C1; Python reads it as an ASCII tilde
_EUC_JP_TOKEN: Final = re.compile(rb"\x8f[\xa1-\xfe][\x80-\xff]?|[\x8e\x8f\xa1-\xfe][\x80-\xff]?")
_NOT_SHIFT_JIS: Final = "\uf8f0\uf8f1\uf8f2\uf8f3"  # CP932's A0, FD, FE and FF, which browsers don't know


class Decoded(NamedTuple):
    """A page's text, its charset, and the number of U+FFFD for unreadable bytes. The charset is a WHATWG name in lower
    case: `utf-8` (also for ASCII), `shift_jis`, ...; UTF-16 is `utf-16-le` or `utf-16-be`."""

    text: str
    charset: str
    num_replaced: int


def decode(html: bytes, content_type: str | None = None) -> Decoded:
    """The text of a page, without its BOM; `content_type`: the HTTP header's value. Never fails. A character cut by the
    end of the page is dropped and not counted."""
    for bom, charset in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if html.startswith(bom):
            return _replacing(html[len(bom) :], charset)
    if b"\x1b" in html and JIS_ESCAPE.search(html) is not None:
        declared = declared_charsets(html, content_type)
        if html.isascii() or "iso-2022-jp" in declared or _is_mostly_iso2022jp(html):
            return _replacing(html, "iso-2022-jp")
    if b"\x00" in html[:256] and (utf16 := _utf16_without_bom(html)) is not None:
        return _replacing(html, utf16)
    if (text := _strict(html, "utf-8")) is not None:
        return Decoded(text, "utf-8", 0)
    if b"\x00" in html[:256]:  # UTF-16 with less markup than text
        for charset in ("utf-16-le", "utf-16-be"):
            if (text := _strict(html, charset)) is not None and _kana_fraction(text) >= _MIN_KANA_FRACTION:
                return Decoded(text, charset, 0)
    return _decode_legacy(html, declared_charsets(html, content_type))


def declared_charsets(html: bytes, content_type: str | None) -> list[str]:
    """The charsets declared by the HTTP header and the page, in this order; known ones only, by WHATWG names."""
    start = html[:_DECLARATION_BYTES]
    metas = _META.findall(_COMMENT.sub(b"", start))
    xml = _XML_ENCODING.search(start)
    found = [
        _HTTP_CHARSET.findall(content_type or ""),
        [label.decode("ascii", "replace") for meta in metas for label in _META_CHARSET.findall(meta)],
        [xml[1].decode("ascii", "replace")] if xml else [],
    ]
    known = (next(filter(None, map(_charset_of, labels)), None) for labels in found)  # as if the unknown weren't there
    return list(dict.fromkeys(charset for charset in known if charset))


def _charset_of(label: str) -> str | None:
    """The charset of a label; None if it is unknown or not a charset of text."""
    label = label.lower()
    encoding = webencodings.lookup(_MORE_LABELS.get(label, label))
    return _NAMES.get(encoding.name, encoding.name) if encoding else None


def _decode_legacy(html: bytes, declared: list[str]) -> Decoded:
    """Bytes that are neither ASCII, UTF-8 nor UTF-16."""
    japanese: dict[str, str] = {}
    for charset in ("shift_jis", "euc-jp"):
        text = _strict(html, charset)
        if text is None:
            continue
        japanese[charset] = text
        # Kana of Shift_JIS are not text in any other charset. Those of EUC-JP, except ー, are the same in GB 2312.
        may_be_gb2312 = charset == "euc-jp" and "gb18030" in declared and _LONG_KATAKANA.search(text) is None
        if not may_be_gb2312 and _kana_fraction(text) >= _MIN_KANA_FRACTION:
            return Decoded(text, charset, 0)
    for charset in declared:
        if charset in _MULTIBYTE and (text := japanese.get(charset) or _strict(html, charset)) is not None:
            return Decoded(text, charset, 0)
    # No charset is valid: a few broken bytes, most often in UTF-8, or no text at all. A sample decides, mostly of text:
    # of ASCII only what may belong to a character.
    sample = _LONG_ASCII.sub(rb"\1 ", html)[:_SAMPLE_BYTES]
    candidates = ["utf-8", *(c for c in declared if c in _MULTIBYTE), "shift_jis", "euc-jp"]
    kana: dict[str, float] = {}
    for charset in dict.fromkeys(candidates):
        guess = _replacing(sample, charset)
        kana[charset] = _kana_fraction(guess.text)
        if guess.num_replaced <= _MAX_REPLACED_FRACTION * _num_non_ascii(guess.text) and (
            charset == "utf-8" or charset in declared or kana[charset] >= _MIN_KANA_FRACTION
        ):
            return _replacing(html, charset)
    # Much is broken, such as paragraphs in another charset. Kana show what the page is in, whatever is beside them.
    most = max(kana, key=lambda charset: kana[charset])
    if kana[most] >= _MIN_KANA_FRACTION:
        return _mixed(html, most, [charset for charset in kana if charset != most])
    single_byte = [charset for charset in declared if charset not in _MULTIBYTE and charset != "iso-2022-jp"]
    for charset in single_byte:
        if (text := _strict(html, charset)) is not None:
            return Decoded(text, charset, 0)
    if single_byte or not declared:
        return _replacing(html, "windows-1252")
    return _replacing(html, declared[0])


def _mixed(html: bytes, charset: str, others: list[str]) -> Decoded:
    """A page in `charset`, with lines and elements in others if they are some characters long: in UTF-8 if they are
    valid in it, else where there are kana."""
    if html.count(b"<") + html.count(b"\n") > _MAX_PIECES:
        return _replacing(html, charset)
    parts: list[str] = []
    num_replaced = 0
    for piece in _PIECE.findall(html):
        text = _strict(piece, charset)
        if text is None:
            text = next((text for other in others if (text := _surely(piece, other)) is not None), None)
        if text is None:
            text, _, wrong = _replacing(piece, charset)
            num_replaced += wrong
        parts.append(text)
    return Decoded("".join(parts), charset, num_replaced)


def _surely(piece: bytes, charset: str) -> str | None:
    """The text of a piece of a page, or None if it isn't valid in a charset, or may be by chance."""
    text = _strict(piece, charset)
    if text is None or _num_non_ascii(text) < _MIN_MIXED_CHARS:
        return None
    return text if charset == "utf-8" or _kana_fraction(text) >= _MIN_KANA_FRACTION else None


def _strict(html: bytes, charset: str) -> str | None:
    """The text, or None if a byte can't be read."""
    try:
        text = _text(html, charset, "strict")
    except UnicodeDecodeError:
        return None
    return None if charset == "shift_jis" and any(map(text.__contains__, _NOT_SHIFT_JIS)) else text


def _replacing(html: bytes, charset: str) -> Decoded:
    """The text with U+FFFD for unreadable bytes, and their number."""
    if charset == "iso-2022-jp":
        text = _iso2022jp(html)
    else:
        text = _text(html, charset, f"swallow_spark.{charset}" if charset in _OWN_ERRORS else "replace")
    if charset == "shift_jis":
        for character in _NOT_SHIFT_JIS:
            text = text.replace(character, "\ufffd")
    already = html.count(b"\xef\xbf\xbd") if charset == "utf-8" else 0
    return Decoded(text, charset, max(0, text.count("\ufffd") - already))


def _text(html: bytes, charset: str, errors: str) -> str:
    """The text; `errors`: an error handler. A character cut by the end is dropped."""
    if charset == "euc-jp":
        return _euc_jp(html, errors).translate(_TO_CP932)
    return codecs.getincrementaldecoder(_CODECS.get(charset, charset))(errors).decode(html)


def _euc_jp(html: bytes, errors: str) -> str:
    """EUC-JP, with Python's code points for some characters of JIS X 0208."""
    if _TILDE_0212 in html:
        html = _EUC_JP_TOKEN.sub(lambda m: b"\xa1\xc1" if m[0] == _TILDE_0212 else m[0], html)
    errors = "swallow_spark.cp932" if errors == "strict" else errors
    return codecs.getincrementaldecoder("euc_jp")(errors).decode(html)


def _utf16_without_bom(html: bytes) -> str | None:
    """The kind of UTF-16, by the zero bytes of ASCII: markup is mostly ASCII even on Japanese pages."""
    start = html[:256]
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if max(even, odd) < 0.4 * len(start) / 2 or min(even, odd) > 0.05 * len(start) / 2:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _kana_fraction(text: str) -> float:
    """The share of full-width kana among non-ASCII characters; misread EUC-JP is full of half-width kana."""
    units = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), dtype="<u2")
    kana = (units >= 0x3041) & (units <= 0x3093) | (units >= 0x30A1) & (units <= 0x30F6)  # ぁ to ん, ァ to ヶ
    total = _num_non_ascii(text)
    return int(np.count_nonzero(kana)) / total if total else 0.0


def _num_non_ascii(text: str) -> int:
    return len(text) - len(text.encode("ascii", "ignore"))


def _is_mostly_iso2022jp(html: bytes) -> bool:
    """Whether a page with an escape, and bytes that are no ASCII, is in ISO-2022-JP: the escape may be a script's."""
    return _kana_fraction(_iso2022jp(html[:_SAMPLE_BYTES])) >= _MIN_KANA_FRACTION


def _iso2022jp(html: bytes) -> str:
    """The text of ISO-2022-JP, with U+FFFD for unreadable bytes."""
    parts = []
    at, mode = 0, b"(B"
    for escape in _JIS_MODE.finditer(html):
        parts.append(_jis_text(html[at : escape.start()], mode))
        at, mode = escape.end(), escape[1]
    parts.append(_jis_text(_JIS_CUT.sub(b"", html[at:]), mode, b""))
    return "".join(parts).translate(_TO_CP932)


def _jis_text(segment: bytes, mode: bytes, cut: bytes = _WRONG_EUC_JP) -> str:
    """What is between two escapes. `cut`: what a first half of a character at the end becomes, as in EUC-JP."""
    if mode == b"(I":
        return "".join(chr(_TO_KANA[b]) if 0x21 <= b <= 0x5F else "\ufffd" for b in segment)
    if mode[:1] == b"(":
        text = segment.decode("latin-1")
        if not segment.isascii() or any(map(text.__contains__, "\x0e\x0f\x1b")):
            text = _JIS_SINGLE.sub(_jis_single, text)
        return text.translate(_ROMAN) if mode == b"(J" else text
    if segment.translate(None, _GRAPHIC) or len(segment) % 2:
        segment = _JIS_DOUBLE.sub(lambda m: _jis_pair(m, cut), segment)
    else:
        segment = segment.translate(_TO_GR)
    if mode == b"$(D":
        segment = _GR_PAIR.sub(rb"\x8f\g<0>", segment)
    return _euc_jp(segment, "swallow_spark.euc-jp")


def _jis_single(match: re.Match[str]) -> str:
    """A match of _JIS_SINGLE as text."""
    shifted, eight_bit, line = match.groups()
    try:
        return line.encode("latin-1").decode() if line else (shifted or eight_bit or "").translate(_TO_KANA) or "\ufffd"
    except UnicodeDecodeError:
        return "\ufffd" * len(line)


def _jis_pair(match: re.Match[bytes], cut: bytes) -> bytes:
    """A match of _JIS_DOUBLE as EUC-JP."""
    pair, kana, escape, half = match.groups()
    if pair:
        return pair.translate(_TO_GR)
    if kana:
        return b"".join(b"\x8e" + bytes((b | 0x80,)) for b in kana)
    return 2 * _WRONG_EUC_JP if escape else cut if half else _WRONG_EUC_JP


def _unreadable_length(data: bytes, start: int) -> int:
    """The number of bytes that the standard's decoders of Shift_JIS, Big5 and EUC-KR give a U+FFFD for."""
    is_pair = 0x81 <= data[start] <= 0xFE and data[start + 1 : start + 2] >= b"\x80"
    return 2 if is_pair else 1


def _unreadable_length_gb18030(data: bytes, start: int) -> int:
    if _GB18030_LONG.match(data, start):
        return 4
    return _unreadable_length(data, start)


def _unreadable_length_euc_jp(data: bytes, start: int) -> int:
    lead = data[start]
    if lead not in (0x8E, 0x8F) and not 0xA1 <= lead <= 0xFE:
        return 1
    if lead == 0x8F and b"\xa1" <= data[start + 1 : start + 2] <= b"\xfe":
        return 3 if data[start + 2 : start + 3] >= b"\x80" else 2
    return _unreadable_length(data, start)


def _replaced_by(length: Callable[[bytes, int], int]) -> Callable[[UnicodeError], tuple[str, int]]:
    """An error handler for Python's codecs."""

    def handle(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeDecodeError):
            raise error
        return "\ufffd", error.start + length(error.object, error.start)

    return handle


def _cp932_extensions() -> Iterator[tuple[bytes, str]]:
    """Pairs of EUC-JP, and their characters, that CP932 has and JIS X 0208 lacks: NEC's row 13, and the kanji of IBM
    that NEC selected, rows 89 to 92."""
    for row, cell in product((13, 89, 90, 91, 92), range(1, 95)):
        # The same row and cell in Shift_JIS (JIS X 0208, annex 1): two rows share a lead byte.
        lead = (row - 1) // 2 + (0x81 if row < 63 else 0xC1)
        trail = cell + (0x9E if row % 2 == 0 else 0x3F if cell < 64 else 0x40)
        with suppress(UnicodeDecodeError):
            yield bytes((0xA0 + row, 0xA0 + cell)), bytes((lead, trail)).decode("cp932")


_CP932_EXTENSIONS: Final = dict(_cp932_extensions())


def _extended(error: UnicodeError) -> tuple[str, int]:
    """An error handler for Python's EUC-JP, which lacks _CP932_EXTENSIONS. Raises `error` for all else."""
    if isinstance(error, UnicodeDecodeError):
        text = _CP932_EXTENSIONS.get(error.object[error.start : error.start + 2])
        if text is not None:
            return text, error.start + 2
    raise error


def _extended_or_replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    text = _CP932_EXTENSIONS.get(error.object[error.start : error.start + 2])
    if text is not None:
        return text, error.start + 2
    return "\ufffd", error.start + _unreadable_length_euc_jp(error.object, error.start)


codecs.register_error("swallow_spark.cp932", _extended)
codecs.register_error("swallow_spark.euc-jp", _extended_or_replaced)
for _charset in ("shift_jis", "big5", "euc-kr"):
    codecs.register_error(f"swallow_spark.{_charset}", _replaced_by(_unreadable_length))
codecs.register_error("swallow_spark.gb18030", _replaced_by(_unreadable_length_gb18030))
