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
_NAMESPACE: Final = re.compile(
    r"^\s*:?(?:ファイル|画像|File|Image|Category|カテゴリ|[a-z]{2,3}(?:-[a-z]+)*)\s*:", re.IGNORECASE
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
            if not _NAMESPACE.match(str(node.title)):
                found.append(_readable(node.title if node.text is None else node.text))
        elif isinstance(node, Tag):
            name = str(node.tag)
            if node.contents and name.strip().lower() not in _UNREAD and is_visible(name):
                found.append(_readable(node.contents))
        elif isinstance(node, Heading) or (isinstance(node, ExternalLink) and node.brackets):
            found.append(_readable(node.title) if node.title else "")
        else:
            found.append(str(node.__strip__(normalize=True, collapse=True) or ""))
    return "".join(found).strip("\n")
