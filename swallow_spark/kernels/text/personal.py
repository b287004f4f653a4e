"""Personal data in texts, replaced by marks: mail addresses, Japanese phone numbers and postal codes.

Dates, ISBNs, prices and versions stay. Digits and hyphens may be half or full width. Bounded patterns: linear time.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

VERSION: Final = 1
Kind: TypeAlias = Literal["mail", "phone", "postal_code"]
KINDS: Final[tuple[Kind, ...]] = ("mail", "phone", "postal_code")
MARKS: Final[dict[Kind, str]] = {"mail": "<MAIL>", "phone": "<PHONE>", "postal_code": "<POSTAL_CODE>"}

_DIGIT: Final = "[0-9０-９]"
_HYPHEN: Final = "[-‐‑‒–—―−－ーｰ─━˗⁃﹘﹣]"
_PREFECTURES: Final = (
    "北海道|青森県|岩手県|宮城県|秋田県|山形県|福島県|茨城県|栃木県|群馬県|埼玉県|千葉県|東京都|神奈川県|新潟県|富山県|石川県|福井県|"
    "山梨県|長野県|岐阜県|静岡県|愛知県|三重県|滋賀県|京都府|大阪府|兵庫県|奈良県|和歌山県|鳥取県|島根県|岡山県|広島県|山口県|徳島県|"
    "香川県|愛媛県|高知県|福岡県|佐賀県|長崎県|熊本県|大分県|宮崎県|鹿児島県|沖縄県"
)
# Local parts have at most 64 characters, labels 63 (RFC 5321, RFC 1035); a match begins at the start of a part only.
_LOCAL: Final = r"A-Za-z0-9.!#$%&'*+/=?^_`{|}~-"
_MAIL: Final = re.compile(
    rf"(?<![{_LOCAL}])[{_LOCAL}]{{1,64}}[@＠](?:[A-Za-z0-9][A-Za-z0-9-]{{0,62}}\.){{1,8}}[A-Za-z]{{2,24}}(?![A-Za-z0-9])"
)
# Behind other letters, and in versions, addresses and longer numbers, there are no phone numbers.
_LABELS: Final = ("tel", "fax", "telfax", "phone", "telephone", "mobile", "freedial", "ＴＥＬ", "ＦＡＸ")
_DOTS: Final = ("", "[.．]")
_LABEL: Final = "|".join(
    rf"(?<=(?i:(?<![A-Za-zＡ-Ｚａ-ｚ]){label}){dot})" for label in _LABELS for dot in ("", "[.．]")
)
_BEFORE: Final = rf"(?:(?<![0-9０-９A-Za-z.．/])|{_LABEL})"
_LETTERS_BEHIND: Final = r"(?!(?i:tel|fax|phone|mobile|e-?mail|mail|url|https?:|web))[A-Za-z]"
# Area code, exchange and subscriber's number; the area code or the exchange may be in brackets.
_PHONE: Final = re.compile(
    rf"(?=[(（0０]){_BEFORE}(?<!{_DIGIT}{_HYPHEN})"
    rf"[(（]?(?P<area>[0０]{_DIGIT}{{1,4}})"
    rf"(?:{_HYPHEN}|[)）(（]{{1,2}}|[)）]{_HYPHEN}|[ 　](?=[(（]))?"
    rf"(?P<exchange>{_DIGIT}{{1,4}})(?:{_HYPHEN}|[)）]{_HYPHEN}?)(?P<subscriber>{_DIGIT}{{3,4}})"
    rf"(?!{_DIGIT}|{_HYPHEN}{_DIGIT}|{_LETTERS_BEHIND}|[%％円年月日])"
)
# From abroad: behind +81 nine digits, ten if they begin with 50, 70, 80 or 90, in any groups; the 0 may be there.
_GAP: Final = rf"(?:{_HYPHEN}|[ 　()（）]){{0,2}}"
_ABROAD: Final = re.compile(
    rf"(?=[+＋]){_BEFORE}(?<!{_DIGIT}{_HYPHEN})[+＋][8８][1１](?:{_GAP}[0０])?{_GAP}"
    rf"(?:[57-9５７-９][0０](?:{_GAP}{_DIGIT}){{8}}|(?![57-9５７-９][0０])[1-9１-９](?:{_GAP}{_DIGIT}){{8}})"
    rf"(?!{_DIGIT}|{_HYPHEN}{_DIGIT}|{_LETTERS_BEHIND}|[%％円年月日])"
)
# Without hyphens only mobile numbers can be told from other numbers, and those that are called a phone number.
_MOBILE: Final = re.compile(
    rf"(?=[0０])(?:(?:(?<![0-9０-９A-Za-z.．/_-])|{_LABEL})[0０][7-9７-９][0０]{_DIGIT}{{8}}"
    rf"|(?:{_LABEL})[0０][1-9１-９]{_DIGIT}{{8}})(?![0-9０-９_%％円-]|{_LETTERS_BEHIND})"
)
_POSTAL: Final = re.compile(
    rf"(?:〒[ 　]?|郵便番号[:：]?[ 　]?){_DIGIT}{{3}}{_HYPHEN}?{_DIGIT}{{4}}(?!{_DIGIT})"
    rf"|(?<![0-9０-９A-Za-z.．-]){_DIGIT}{{3}}{_HYPHEN}{_DIGIT}{{4}}(?=[ 　\n]{{0,2}}(?:{_PREFECTURES}))"
)
_FREE: Final = frozenset({"0120", "0570", "0990", "0180"})  # these have three digits at the end
_ELEVEN: Final = frozenset({"050", "070", "080", "090", "0800"})  # and numbers with these have eleven in all


class Masked(NamedTuple):
    """Masked texts, their lengths in code points, and the number of replacements (kinds, texts)."""

    texts: pa.Array
    num_chars: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]


def mask(texts: Any, kinds: Sequence[Kind]) -> Masked:
    """Masks a (large_)string array without nulls. `counts` has a row for each of KINDS."""
    counts = np.zeros((len(KINDS), len(texts)), np.int32)
    masked = []
    for i, text in enumerate(texts.to_pylist()):
        for kind in kinds:
            text, counts[KINDS.index(kind), i] = _REPLACE[kind](text)
        masked.append(text)
    lengths = np.fromiter(map(len, masked), np.int32, len(masked))
    return Masked(pa.array(masked, texts.type), lengths, counts)


def mask_mail(text: str) -> tuple[str, int]:
    """The text without mail addresses, and how many there were."""
    return _MAIL.subn(MARKS["mail"], text) if "@" in text or "＠" in text else (text, 0)


def mask_phone(text: str) -> tuple[str, int]:
    """The text without Japanese phone numbers: from +81; from 0 with hyphens or brackets, mobile ones and those right
    behind the letters TEL or FAX also without."""
    number = 0

    def replaced(match: re.Match[str]) -> str:
        nonlocal number
        if not _is_phone(match):
            return match[0]
        number += 1
        return MARKS["phone"]

    text, abroad = _ABROAD.subn(MARKS["phone"], text)
    text = _PHONE.sub(replaced, text)
    text, mobile = _MOBILE.subn(MARKS["phone"], text)
    return text, abroad + number + mobile


def _is_phone(match: re.Match[str]) -> bool:
    groups = [_ascii(match[name]) for name in ("exchange", "subscriber")]
    area = _ascii(match["area"])
    if match[0].count("(") + match[0].count("（") != match[0].count(")") + match[0].count("）"):
        return False
    length = len(area) + sum(map(len, groups))
    if len(groups[1]) == 3:
        return area in _FREE and length == 10
    return length == (11 if area in _ELEVEN else 10)


def _ascii(digits: str) -> str:
    return "".join(str(int(digit)) for digit in digits)


def mask_postal_code(text: str) -> tuple[str, int]:
    """The text without postal codes: those after 〒 or 郵便番号, and those before the name of a prefecture."""
    return _POSTAL.subn(MARKS["postal_code"], text)


_REPLACE: Final = {"mail": mask_mail, "phone": mask_phone, "postal_code": mask_postal_code}
