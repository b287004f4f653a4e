"""A page as it was crawled, made harmless: read again from its WARC record, without scripts and anything to load.

The result is written anew, tag by tag, from lists of what is allowed. The browser then shows it in a frame without
rights (`sandbox`) under a policy that forbids scripts and all requests.
"""

import io
import re
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from swallow_spark.errors import UsageError, printable
from swallow_spark.kernels.html import charset, html, wording
from swallow_spark.kernels.html.blocks import Block, walk, words
from swallow_spark.kernels.html.maintext import main_texts
from swallow_spark.kernels.warc import http, warc
from swallow_spark.report.browse.source import Source
from swallow_spark.report.explain import Explained

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox; form-action 'none'; base-uri 'none'"
_MAX_BODY_BYTES: Final = 16 << 20
_MAX_RATIO: Final = 200
_MAX_OUTPUT_CHARS: Final = 3_000_000
_MAX_SOURCE_CHARS: Final = 500_000

_TAGS: Final = words(
    "html body a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col "
    "colgroup dd del details dfn dir div dl dt em fieldset figcaption figure font footer form h1 h2 h3 h4 h5 h6 "
    "header hgroup hr i ins kbd legend li main mark menu nav nobr ol p pre q rb rp rt rtc ruby s samp section small "
    "span strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr"
)
_VOID: Final = words("br col hr wbr")
_WITHOUT_CONTENT: Final = words(
    "script template iframe frame frameset object embed applet svg math audio video canvas noscript head"
)
_ATTRIBUTES: Final = words(
    "align bgcolor border cellpadding cellspacing class clear color colspan dir face height hidden id lang open "
    "rowspan size start style title type valign width"
)
_BLANK: Final = re.compile(r"[\s\x00-\x1f\x7f-\xa0\u200b\ufeff]+")
_RESYNC_CHARS: Final = 5_000  # in which a text is looked for that isn't where it should be
_RESYNC_BACK_CHARS: Final = 40
_LEAST_RESYNC: Final = 4
_STYLE: Final = """
html{background:#fff;color:#111}body{overflow-wrap:anywhere;font-family:sans-serif;line-height:1.5}
.swallow-spark-taken{background:#fff1a8!important;color:#111!important;outline:1px solid #d9a400!important}
.swallow-spark-image{color:#666;font-size:.85em}.swallow-spark-note{background:#eee;color:#111;padding:4px 8px}
"""


@dataclass(frozen=True)
class Raw:
    """The response of a record."""

    head: str
    body: bytes
    content_type: str | None
    damage: str | None


class NoRawPageError(Exception):
    """A page whose record can't be read again; the message says why."""


def read(source: Source, doc_id: int, url: str | None) -> Raw:
    """The HTTP response that a page came from. Raises NoRawPageError."""
    place = source.place(doc_id)
    if place is None:
        raise NoRawPageError("the crawl is not registered any more")
    _, file, offset = place
    if file.format != "warc":
        raise NoRawPageError(f"imported text ({file.format}) has no raw page")
    try:
        record = Explained({"url": url}, file.path, offset).raw_record()
        found = next(item for item in warc.read(io.BytesIO(record)) if isinstance(item, warc.Record))
        response = http.parse(found.block)
        body = http.body(response, _MAX_BODY_BYTES, _MAX_RATIO)
    except (UsageError, OSError) as error:
        raise NoRawPageError(str(error)) from None
    except (StopIteration, http.BadHttpError, http.TooLargeError) as error:
        raise NoRawPageError(f"{file.path}: no readable response at offset {offset} {error}".strip()) from None
    head = response.block[: response.spans.end].decode("latin-1")
    return Raw(printable(head.replace("\r\n", "\n"))[:20_000], body.content, response.content_type, body.damage)


def shown(raw: Raw, cut_note: str) -> str:
    """The page as HTML that loads and runs nothing; what extraction takes is marked."""
    tree = html.parsed(charset.decode(raw.body, raw.content_type).text)
    root = tree.root
    out = ["<!doctype html><meta charset=utf-8><style>", _STYLE, "</style>"]
    if root is None:
        return "".join(out)
    elements, blocks = walk(root)
    main = main_texts(elements, blocks)
    writer = _Writer(out, _Taken(blocks, main))
    is_whole = writer.write(root)
    if not is_whole:
        out.insert(3, f"<p class=swallow-spark-note>{escape(cut_note)}</p>")
    return "".join(out)


def source_of(raw: Raw) -> tuple[str, bool]:
    """The HTML as text, and whether it is all of it."""
    text = charset.decode(raw.body[: 4 * _MAX_SOURCE_CHARS], raw.content_type).text
    return printable(text[:_MAX_SOURCE_CHARS]), len(raw.body) <= 4 * _MAX_SOURCE_CHARS and len(
        text
    ) <= _MAX_SOURCE_CHARS


class _Taken:
    """Which text nodes are part of the main text. Blocks are runs of text nodes, whose texts follow each other in the
    same order, apart from white space and from what the walk leaves out."""

    def __init__(self, blocks: list[Block], main: list[str]) -> None:
        texts = [_BLANK.sub("", block.text) for block in blocks]
        self._all = "".join(texts)
        self._ends: list[int] = []
        end = 0
        for text in texts:
            end += len(text)
            self._ends.append(end)
        self._chosen = _chosen(blocks, main)
        self._at = self._block = 0

    def takes(self, text: str) -> bool:
        """Whether the next text node is main text."""
        bare = _BLANK.sub("", text)
        if not bare:
            return False
        at = self._at
        if not self._all.startswith(bare, at):
            if len(bare) < _LEAST_RESYNC:
                return False
            # A text that the walk left out, such as a number, may have been taken for the next one: look back too.
            at = self._all.find(bare, max(0, at - _RESYNC_BACK_CHARS), at + _RESYNC_CHARS)
            if at < 0:
                return False
            while self._block and self._ends[self._block - 1] > at:
                self._block -= 1
        while self._block < len(self._ends) and self._ends[self._block] <= at:
            self._block += 1
        self._at = at + len(bare)
        return self._block < len(self._chosen) and self._chosen[self._block]


def _chosen(blocks: list[Block], main: list[str]) -> list[bool]:
    """Which blocks are main text: main_texts returns their own strings, in their order, some without a permalink."""
    own = {id(block.text) for block in blocks}
    left = iter(main)
    wanted = next(left, None)
    chosen = []
    for block in blocks:
        is_it = wanted is block.text or (
            wanted is not None and id(wanted) not in own and wording.without_permalink(block.text) == wanted
        )
        chosen.append(is_it)
        if is_it:
            wanted = next(left, None)
    return chosen


class _Writer:
    def __init__(self, out: list[str], taken: _Taken) -> None:
        self._out, self._taken, self._size = out, taken, 0

    def _add(self, text: str) -> None:
        self._out.append(text)
        self._size += len(text)

    def write(self, root: Any) -> bool:
        """Writes what is below the root; whether all of it fitted."""
        stack: list[tuple[Any, str]] = []
        node: Any = root
        while True:
            end = self._open(node)
            child = node.first_child if end is not None else None
            if child is not None and self._size < _MAX_OUTPUT_CHARS:
                stack.append((node, end or ""))
                node = child
                continue
            self._add(end or "")
            following = node.next if stack else None
            if self._size >= _MAX_OUTPUT_CHARS:
                following = None
            while following is None:
                if not stack:
                    return self._size < _MAX_OUTPUT_CHARS
                node, end = stack.pop()
                self._add(end)
                following = node.next if stack and self._size < _MAX_OUTPUT_CHARS else None
            node = following

    def _open(self, node: Any) -> str | None:
        """Writes the start of a node. Its end tag, which may be empty; None: nothing inside is shown."""
        tag = node.tag
        if tag == "-text":
            text = node.text_content or ""
            told = escape(text.replace("\x00", ""))
            self._add(f"<span class=swallow-spark-taken>{told}</span>" if self._taken.takes(text) else told)
            return None
        if tag == "style":
            style = node.text() or ""
            if "<" not in style:
                self._add(f"<style>{style}</style>")
            return None
        if tag == "img":
            label = escape(str(node.attributes.get("alt") or "")[:200])
            self._add(f"<span class=swallow-spark-image>[image{': ' if label else ''}{label}]</span>")
            return None
        if tag in _WITHOUT_CONTENT or tag.startswith(("-", "!")):
            return None
        if tag not in _TAGS:
            return ""
        name = {"html": "div", "body": "div", "form": "div"}.get(tag, tag)
        attributes = "".join(
            f' {key}="{escape(value or "", quote=True)}"'
            for key, value in (node.attributes or {}).items()
            if key in _ATTRIBUTES
        )
        if tag == "a" and (target := node.attributes.get("href")):
            attributes += f' title="{escape(target[:500], quote=True)}"' if "title" not in node.attributes else ""
            name = "u"  # no link: following it would be a request
        self._add(f"<{name}{attributes}>")
        return "" if tag in _VOID else f"</{name}>"
