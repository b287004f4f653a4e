"""Parses a Wikipedia dump: pages-articles (XML), categorylinks and linktarget (SQL).

The formats: https://www.mediawiki.org/wiki/Help:Export and https://www.mediawiki.org/wiki/Manual:Categorylinks_table,
which had category titles (`cl_to`) until 2025, and since then ids of `linktarget` (`cl_target_id`).
"""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from xml.etree import ElementTree

ARTICLE: Final = 0
CATEGORY: Final = 14

_ELEMENT: Final = re.compile(r"<page\b")
_COLUMN: Final = re.compile(rb"^\s*`(\w+)`", re.MULTILINE)
_INSERT: Final = re.compile(rb"INSERT INTO `\w+` VALUES ")
_VALUE: Final = re.compile(rb"'((?:[^'\\]|\\.|'')*)'|([^,()']+)", re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPED: Final = {b"0": b"\0", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"Z": b"\x1a"}
# Sections of references and further reading.
_APPENDIX: Final = re.compile(
    r"^==\s*(?:脚注|出典|注釈|参考文献|関連文献|関連項目|外部リンク|注|註|参照)[^=]*==\s*$", re.MULTILINE
)
# The codes of other Wikipedias (2026, with closed ones and aliases): links with one lead out of the text, to the same
# article in another language. Other titles have colons too (`Re:...`, `CSI:...`).
_LANGUAGES: Final = (
    "aa ab ace ady af ak als alt am ami an ang ann anp ar arc ary arz as ast atj av avk awa ay az azb ba ban bar "
    "bat-smg bbc bcl bdr be be-tarask be-x-old bew bg bh bi bjn blk bm bn bo bol bpy br bs btm bug bxr ca cbk-zam "
    "cdo ce ceb ch cho chr chy ckb cmn co cr crh cs csb cu cv cy cz da dag de dga din diq dk dsb dtp dty dv dz ee "
    "egl el eml en eo es et eu ext fa fat ff fi fiu-vro fj fo fon fr frp frr fur fy ga gag gan gcr gd gl glk gn gom "
    "gor got gpe gsw gu guc gur guw gv ha hak haw he hi hif ho hr hsb ht hu hy hyw hz ia iba id ie ig igl ii ik ilo "
    "inh io is isv it iu jam jbo jp jv ka kaa kab kai kaj kbd kbp kcg kg kge ki kj kk kl km kn knc ko koi kr krc ks "
    "ksh ku kus kv kw ky la lad lb lbe lez lfn lg li lij lld lmo ln lo lrc lt ltg lv lzh mad mag mai map-bms mdf mg "
    "mh mhr mi min mk ml mn mni mnw mo mos mr mrj ms mt mus mwl my myv mzn na nah nan nap nb nds nds-nl ne new ng "
    "nia nl nn no nov nqo nr nrm nso nup nv ny oc olo om or os pa pag pam pap pcd pcm pdc pfl pi pih pl pms pnb pnt "
    "ppl ps pt pwn qu rki rm rmy rn ro roa-rup roa-tara rsk ru rue rup rw sa sah sat sc scn sco sd se sg sgs sh shi "
    "shn si simple sk skr sl sm smn sn so sq sr srn ss st stq su sv sw syl szl szy ta tay tcy tdd te tet tg th ti "
    "tig tk tl tly tn to tok tpi tr trv ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls vo vro wa war wo wuu "
    "xal xh xmf yi yo yue za zea zgh zh zh-classical zh-cn zh-min-nan zh-tw zh-yue zu"
)
# Capital letters are allowed there, but hardly written.
_UNSHOWN: Final = re.compile(
    rf"\s*(?:(?i:ファイル|画像|File|Image|Category|カテゴリ)|{'|'.join(_LANGUAGES.split())})\s*:"
)
_NOWIKI: Final = r"(<nowiki\b[^<>]*>.*?</nowiki>)"  # there, braces and comments are text
_COMMENT: Final = re.compile(rf"{_NOWIKI}|<!--.*?-->", re.DOTALL | re.IGNORECASE)
_TEMPLATE: Final = re.compile(rf"{_NOWIKI}|(?<!\{{)\{{\{{[^{{}}]*\}}\}}(?!\}})", re.DOTALL | re.IGNORECASE)
_NESTED: Final = 20  # levels of templates in templates
_UNREAD: Final = frozenset(("table", "gallery", "ref", "timeline", "math", "score"))


class Page(NamedTuple):
    """A page of a dump: `title` without the namespace's prefix, with underscores for spaces, as in links."""

    page_id: int
    namespace: int
    title: str
    is_redirect: bool
    wikitext: str


def parse_page(element: str) -> Page | None:
    """The page in a piece of XML, with or without the final `</page>`; None if no page starts in it. Raises ValueError
    for invalid XML."""
    start = _ELEMENT.search(element)
    if not start:
        return None
    whole = element[start.start() :]
    try:
        page = ElementTree.fromstring(whole if whole.rstrip().endswith("</page>") else f"{whole}</page>")
        title, namespace = page.findtext("title", ""), int(page.findtext("ns", "0"))
        page_id = int(page.findtext("id", ""))
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"a page can't be parsed: {error}") from None
    if namespace:
        title = title.partition(":")[2]
    text = page.findtext("revision/text") or ""
    return Page(page_id, namespace, as_link(title), page.find("redirect") is not None, text)


def as_link(title: str) -> str:
    """A title in the form of links."""
    return title.strip().replace(" ", "_")


def columns(create_table: bytes) -> list[str]:
    """The columns of a table, from the beginning of its dump."""
    start = create_table.find(b"CREATE TABLE")
    end = create_table.find(b"\n)", start)
    return [name.decode() for name in _COLUMN.findall(create_table[create_table.find(b"(", start) : end])]


def rows(line: bytes) -> Iterator[list[bytes]]:
    """The rows that one line of a dump inserts, if any. Strings are unquoted and unescaped."""
    found = _INSERT.match(line)
    if not found:
        return
    row: list[bytes] = []
    at = found.end()
    while at < len(line):
        character = line[at : at + 1]
        if character in b"(, \n\r;":
            at += 1
        elif character == b")":
            yield row
            row = []
            at += 1
        else:
            value = _VALUE.match(line, at)
            if not value:
                raise ValueError(f"a line can't be parsed at byte {at}")
            text, number = value.groups()
            row.append(number if text is None else _unescape(text))
            at = value.end()


def _unescape(text: bytes) -> bytes:
    text = text.replace(b"''", b"'")
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), text) if b"\\" in text else text


def plain_text(title: str, wikitext: str) -> str:
    """An article as readable text, its title first, without templates, tables, notes, files and appendices."""
    import mwparserfromhell  # slow to import

    appendix = _APPENDIX.search(wikitext)
    body = wikitext[: appendix.start()] if appendix else wikitext
    # Most markup is in templates, and parsing them would take most of the time. Those with other braces inside stay.
    body = _COMMENT.sub(_left, body)
    for _ in range(_NESTED):
        before, body = body, _TEMPLATE.sub(_left, body)
        if body == before:
            break
    text = _readable(mwparserfromhell.parse(body, skip_style_tags=True)).replace("'''", "").replace("''", "")
    lines = [line.strip() for line in text.splitlines()]
    body = "\n".join(line for line in lines if line)
    return f"{title.replace('_', ' ')}\n{body}" if body else ""


def _left(match: re.Match[str]) -> str:
    return match[1] or ""


def _readable(code: Any) -> str:
    """The text that a reader sees. Removing the other nodes and calling `strip_code` gives the same, but is slow: each
    removal searches the whole tree."""
    from mwparserfromhell.definitions import is_visible
    from mwparserfromhell.nodes import ExternalLink, Heading, Tag, Wikilink

    found = []
    for node in code.nodes:
        if isinstance(node, Wikilink):
            if not _UNSHOWN.match(str(node.title)):
                # A colon in front makes a visible link to a file, a category or another Wikipedia.
                found.append(_readable(node.title).removeprefix(":") if node.text is None else _readable(node.text))
        elif isinstance(node, Tag):
            name = str(node.tag)
            if node.contents and name.strip().lower() not in _UNREAD and is_visible(name):
                found.append(_readable(node.contents))
        elif isinstance(node, Heading) or (isinstance(node, ExternalLink) and node.brackets):
            found.append(_readable(node.title) if node.title else "")
        else:
            found.append(str(node.__strip__(normalize=True, collapse=True) or ""))
    return "".join(found).strip("\n")
