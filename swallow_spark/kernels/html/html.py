"""The main text of an HTML page, its title, and its meta robots.

The page is decoded (`charset`) and parsed, its DOM is walked once (`blocks`), and main text is chosen (`maintext`).
"""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from selectolax.lexbor import LexborHTMLParser

from swallow_spark.kernels.html import charset
from swallow_spark.kernels.html.blocks import SPACE, walk, words
from swallow_spark.kernels.html.maintext import main_texts

VERSION: Final = 3  # raise it when the text of any page may change

MAX_DEPTH: Final = 5_000  # the parser's time is quadratic in the depth: 17 s at 100,000
MAX_ATTRIBUTES: Final = 5_000  # of one tag, at least two characters each; also quadratic: 17 s at 100,000

# Around the site's name in a title: nothing, or a separator.
_SEPARATOR_END: Final = re.compile(r"(?:^|[|｜:：»«/／•·・–—―‐-])\s*$")
_SEPARATOR_START: Final = re.compile(r"\s*(?:$|[|｜:：»«/／•·・–—―‐-]|\s[(（\[【])")
_QUOTED: Final = re.compile(r'"[^"]*"|\'[^\']*\'')
_TAG: Final = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_UNNESTED: Final = words(
    "area base br col embed hr img input link meta param source track wbr p li dt dd td th tr option"
)
_NESTING_TAG: Final = re.compile(r"</?(?!(?:p|br|script|style|title|li|h[1-6]|td|th|tr)\b)[a-zA-Z][^<>]*>")


class Extracted(NamedTuple):
    """A page's title and main text, its charset, the number of U+FFFD for unreadable bytes, and its meta robots.

    `text` has one line per block and no blank line. `robots` is in lower case; None if there is none. `page_text` is
    all visible text, including title and navigation. `lang` is the declared language, unchanged; "" if there is none.
    """

    title: str
    text: str
    charset: str
    num_replaced: int
    robots: str | None
    page_text: str
    lang: str


def extract(html: bytes, content_type: str | None = None) -> Extracted:
    """The contents of a page, which may be any bytes, as text that can be encoded as UTF-8; `content_type`: the HTTP
    header's value."""
    decoded = charset.decode(html, content_type)
    tree = parsed(decoded.text)
    root = tree.root
    if root is None:
        return Extracted("", "", decoded.charset, decoded.num_replaced, None, "", "")
    elements, blocks = walk(root)
    title, robots = _metadata(tree.head, next((b.text for b in blocks if elements[b.element].tag == "h1"), ""))
    main = main_texts(elements, blocks)
    if not main and (frames := tree.css_first("noframes")) is not None:  # the parser takes its content for text
        elements, blocks = walk(LexborHTMLParser(frames.text(), scripting=True).root)
        main = main_texts(elements, blocks)
    if not main:
        _, blocks = walk(root, everything=True)
        main = [block.text for block in blocks]
    page_text = "\n".join([title, *[block.text for block in blocks]])
    lang = root.attributes.get("lang") or ""
    return Extracted(title, "\n".join(main), decoded.charset, decoded.num_replaced, robots, page_text, lang)


def parsed(source: str) -> LexborHTMLParser:
    """A page's DOM, without what would make the parser slow."""
    return LexborHTMLParser(_flattened(_without_long_tags(source)), scripting=True)


def _without_long_tags(source: str) -> str:
    """The page, without all attributes of tags that have more than MAX_ATTRIBUTES."""
    pieces = []
    position = 0
    for start, end in _long_tags(source):
        tag = source[start:end]
        if tag[1:2].isalpha() and len(_QUOTED.sub("", tag).split()) > MAX_ATTRIBUTES:
            pieces += [source[position:start], tag.split(maxsplit=1)[0], "" if source[end : end + 1] == ">" else ">"]
            position = end
    return "".join([*pieces, source[position:]]) if pieces else source


def _long_tags(source: str) -> Iterator[tuple[int, int]]:
    """Start and end (before the next `<` or `>`) of tags of at least 2 * MAX_ATTRIBUTES characters."""
    step = MAX_ATTRIBUTES  # a tag of that length fills one of these pieces
    after = 0
    for piece in range(0, len(source) - step, step):
        if piece < after or source.find("<", piece, piece + step) >= 0:
            continue
        start = source.rfind("<", 0, piece)
        following = source.find("<", piece + step)
        after = len(source) if following < 0 else following
        if start >= 0:
            end = source.find(">", start, after)
            end = after if end < 0 else end
            if end - start >= 2 * step:
                yield start, end


def _flattened(source: str) -> str:
    """The page; if elements may nest deeper than MAX_DEPTH, only tags of paragraphs, cells and items stay."""
    return source if depth(source, MAX_DEPTH) < MAX_DEPTH else _NESTING_TAG.sub("\n", source)


def depth(source: str, suspicious: int) -> int:
    """How deep a page's elements may nest, by its tags alone; 0 if the number of tags is too low for `suspicious`."""
    tags = source.count("<")
    if tags < suspicious or tags - 2 * source.count("</") < suspicious:
        return 0
    now = deepest = 0
    for slash, name in _TAG.findall(source):
        if name.lower() not in _UNNESTED:
            now += -1 if slash else 1
            deepest = max(deepest, now)
    return deepest


def _metadata(head: Any, h1: str) -> tuple[str, str | None]:
    """(title, content of meta robots).

    The title is <title> without the site's name, if og:title or <h1> are the rest of it, or og:site_name follows its
    last separator. Without <title> it is og:title or <h1>.
    """
    title = og_title = site = ""
    robots = None
    node = None if head is None else head.first_child
    while node is not None:
        if node.tag == "title" and not title:
            title = _line(node.text())
        elif node.tag == "meta":
            attributes = node.attributes
            name = (attributes.get("name") or attributes.get("property") or "").lower()
            if name == "robots" and robots is None:
                robots = _line(attributes.get("content") or "").lower()
            elif name == "og:title" and not og_title:
                og_title = _line(attributes.get("content") or "")
            elif name == "og:site_name" and not site:
                site = _line(attributes.get("content") or "")
        node = node.next
    h1 = _line(h1)
    for shorter in (h1, og_title):
        if shorter and shorter not in (title, site):
            before, found, after = title.partition(shorter)
            if found and _SEPARATOR_END.search(before) is not None and _SEPARATOR_START.match(after) is not None:
                return shorter, robots
    if site and title.endswith(site) and _SEPARATOR_END.search(before := title[: -len(site)]) is not None:
        title = _SEPARATOR_END.sub("", before).strip() or title
    return title or og_title or h1, robots


def _line(text: str) -> str:
    return SPACE.sub(" ", text).replace("\x00", "").strip()
