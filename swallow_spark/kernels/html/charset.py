"""The charset of a page, and its bytes as text.

The order of evidence: a BOM; ISO-2022-JP escapes; strict UTF-8; Shift_JIS or EUC-JP with enough kana; the declared
charset (HTTP, then the page) if the bytes are valid in it; otherwise a best guess, with U+FFFD for unreadable bytes.

Shift_JIS, EUC-JP and ISO-2022-JP use one table, CP932's, as in browsers (WHATWG Encoding Standard, index jis0208): a
page gives the same text in all three, including NEC and IBM extensions, and a wave dash becomes U+FF5E. UTF-8 text is
not changed and may have U+301C: normalising wave dashes and full-width tildes would lose information.
"""

import codecs
import re
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
    "iso-2022-jp": "euc_jp",  # after _iso2022jp_to_eucjp
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
_MULTIBYTE: Final = frozenset({"utf-8", "shift_jis", "euc-jp", "gb18030", "big5", "euc-kr"})

_HTTP_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE | re.ASCII)
_META_CHARSET: Final = re.compile(rb"""<meta\b[^>]{0,512}?\bcharset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_XML_ENCODING: Final = re.compile(rb"""^\s*<\?xml\b[^>]{0,256}?\bencoding\s*=\s*["']([\w.:-]+)""", re.IGNORECASE)
_COMMENT: Final = re.compile(rb"<!--.*?-->", re.DOTALL)
_LONG_KATAKANA: Final = re.compile("[ァ-ヶ]ー")
JIS_ESCAPE: Final = re.compile(rb"\x1b\$[@B]|\x1b\$\([DOQ]|\x1b\(I")
# Any escape, and the shifts to half-width kana and back (SO, SI).
_JIS_SHIFT: Final = re.compile(rb"\x1b(\$[@B]|\$\([A-Z]|\([A-Z])|([\x0e\x0f])")
_TO_GR: Final = bytes(b | 0x80 if 0x21 <= b <= 0x7E else b for b in range(256))
# From Python's EUC-JP to CP932, for characters of JIS X 0208 with different code points.
_TO_CP932: Final = str.maketrans("〜‖−¢£¬—", "～∥－￠￡￢―")


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
        if html.isascii() or "iso-2022-jp" in declared:
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
    labels: list[str] = []
    if content_type is not None and (match := _HTTP_CHARSET.search(content_type)) is not None:
        labels.append(match[1])
    start = html[:_DECLARATION_BYTES]
    meta = _META_CHARSET.search(_COMMENT.sub(b"", start))
    labels += [m[1].decode("ascii", "replace") for m in (meta, _XML_ENCODING.search(start)) if m is not None]
    charsets = map(_charset_of, labels)
    return list(dict.fromkeys(charset for charset in charsets if charset))


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
    # No charset is valid: a few broken bytes, most often in UTF-8, or no text at all. A sample decides.
    sample = html[:_SAMPLE_BYTES]
    candidates = ["utf-8", *(c for c in declared if c in _MULTIBYTE), "shift_jis", "euc-jp"]
    for charset in dict.fromkeys(candidates):
        guess = _replacing(sample, charset)
        if guess.num_replaced <= _MAX_REPLACED_FRACTION * _num_non_ascii(guess.text) and (
            charset == "utf-8" or charset in declared or _kana_fraction(guess.text) >= _MIN_KANA_FRACTION
        ):
            return _replacing(html, charset)
    single_byte = [charset for charset in declared if charset not in _MULTIBYTE and charset != "iso-2022-jp"]
    for charset in single_byte:
        if (text := _strict(html, charset)) is not None:
            return Decoded(text, charset, 0)
    if single_byte or not declared:
        return _replacing(html, "windows-1252")
    return _replacing(html, declared[0])


def _strict(html: bytes, charset: str) -> str | None:
    """The text, or None if a byte can't be read."""
    try:
        return _text(html, charset, "strict")
    except UnicodeDecodeError:
        return None


def _replacing(html: bytes, charset: str) -> Decoded:
    """The text with U+FFFD for unreadable bytes, and their number."""
    text = _text(html, charset, "replace")
    already = html.count(b"\xef\xbf\xbd") if charset == "utf-8" else 0
    return Decoded(text, charset, max(0, text.count("\ufffd") - already))


def _text(html: bytes, charset: str, errors: str) -> str:
    """The text; `errors`: strict or replace. A character cut by the end is dropped."""
    if charset == "iso-2022-jp":
        html = _iso2022jp_to_eucjp(html)
    codec = _CODECS.get(charset, charset)
    if codec == "euc_jp":
        return codecs.getincrementaldecoder(codec)(f"swallow_spark.cp932_{errors}").decode(html).translate(_TO_CP932)
    return codecs.getincrementaldecoder(codec)(errors).decode(html)


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


def _iso2022jp_to_eucjp(html: bytes) -> bytes:
    """ISO-2022-JP (with half-width kana by escape, by SO/SI or as 8-bit bytes, and JIS X 0212) as EUC-JP."""
    parts = []
    position, mode = 0, b"(B"
    before_shift = mode
    while position <= len(html):
        match = _JIS_SHIFT.search(html, position)
        end = len(html) if match is None else match.start()
        parts.append(_jis_segment_to_eucjp(html[position:end], mode))
        if match is None:
            break
        position = match.end()
        if match[2] == b"\x0e":
            before_shift, mode = mode, b"(I"
        elif match[2] == b"\x0f":
            mode = before_shift
        else:
            mode = match[1]
    return b"".join(parts)


def _jis_segment_to_eucjp(segment: bytes, mode: bytes) -> bytes:
    if mode == b"(I" or (mode[:1] == b"(" and not segment.isascii()):
        high = segment.translate(_TO_GR) if mode == b"(I" else segment
        return b"".join(b"\x8e" + bytes((b,)) if 0xA1 <= b <= 0xDF else bytes((b,)) for b in high)
    if mode == b"$(D":
        high = segment.translate(_TO_GR)
        return b"".join(
            b"\x8f" + high[i : i + 2] if high[i] >= 0xA1 else high[i : i + 2] for i in range(0, len(high), 2)
        )
    if mode[:1] == b"$":
        return segment.translate(_TO_GR)
    return segment


def _cp932_extension(error: UnicodeError) -> tuple[str, int]:
    """Error handler for Python's EUC-JP: a pair that JIS X 0208 lacks (NEC row 13, NEC-selected IBM kanji) by CP932, or
    `error` if CP932 lacks it too."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    pair = error.object[error.start : error.start + 2]
    if len(pair) < 2 or pair[0] < 0xA1 or pair[1] < 0xA1:
        raise error
    # The same row and cell in Shift_JIS (JIS X 0208, annex 1): two rows share a lead byte.
    row, cell = pair[0] - 0xA1, pair[1] - 0xA1
    lead = row // 2 + (0x81 if row < 62 else 0xC1)
    trail = cell + (0x9F if row % 2 else 0x40 if cell < 63 else 0x41)
    try:
        return bytes((lead, trail)).decode("cp932"), error.start + 2
    except UnicodeDecodeError:
        raise error from None


def _cp932_extension_or_replacement(error: UnicodeError) -> tuple[str, int]:
    try:
        return _cp932_extension(error)
    except UnicodeDecodeError as unreadable:
        pair = unreadable.object[unreadable.start : unreadable.start + 2]
        return "\ufffd", unreadable.start + (2 if len(pair) == 2 and pair[0] >= 0xA1 and pair[1] >= 0xA1 else 1)


codecs.register_error("swallow_spark.cp932_strict", _cp932_extension)
codecs.register_error("swallow_spark.cp932_replace", _cp932_extension_or_replacement)
