"""The main text of an HTML page, its title, and what it asks of robots.

The DOM is walked once, into blocks and the elements that hold them. Prose is found by sentence punctuation, full-width
or ASCII, and by length with wide characters counted double; links weigh against it (link density: Kohlschütter et al.,
"Boilerplate Detection using Shallow Text Features", WSDM 2010). Then the main element is the innermost one that holds
most of the prose. Names of classes and ids are hints only, and are ignored where the element holds much of the page's
prose.
"""

import re
from typing import Any, Final, NamedTuple

from selectolax.lexbor import LexborHTMLParser

from swallow_spark.kernels import charset, wording
from swallow_spark.kernels.blocks import (
    ARTICLE,
    ARTICLE_BODY,
    BOILERPLATE,
    CUT,
    HIDDEN,
    MAIN,
    MAX_LINK_DENSITY,
    MAX_TEASER_WEIGHT,
    SIDEBAR,
    SPACE,
    Block,
    Element,
    walk,
    words,
)

__all__ = ["VERSION", "Extracted", "depth", "extract"]

VERSION: Final = 2  # raise it where any page's text may change

MAX_DEPTH: Final = 5_000  # the parser's time grows with the square of the depth: 17 s at 100,000
MAX_ATTRIBUTES: Final = 5_000  # of one tag; likewise: 17 s at 100,000
_MAX_HINTED_FRACTION: Final = 0.35  # of the page's prose, in an element that its name says is no main text
_MAX_HIDDEN_FRACTION: Final = 0.6  # likewise, in an element that is hidden until a script shows it
_MIN_SIDEBAR_PROSE: Final = 0.7  # of the characters of a sidebar that belongs to the text
_MIN_MAIN: Final = 0.4  # of the prose, in <main>
_MIN_ARTICLE: Final = 0.05  # of the prose in there, in the only article: a short post beside a long sidebar
_MIN_ARTICLE_BODY: Final = 0.05  # of the prose in there, in the only element named as the body of an article
_MIN_SEVERAL: Final = 0.6  # of the prose, where there are several: forum posts, a list of entries, but also teasers
_MIN_LINK_LIST_DENSITY: Final = 0.6  # of the characters of a list of links
_MAX_BOILERPLATE_LINE: Final = 200  # half-width characters of a line that is dropped for its words
_MAX_NAVIGATION_LINE: Final = 100  # half-width characters of a line of links that is dropped for its words
_MAX_APPENDIX_HEADING: Final = 50  # half-width characters of a heading of related pages or comments
_MAX_APPENDED: Final = 0.35  # of the prose, under a heading of related pages or comments
_MAX_AFTER_COMMENTS: Final = 0.05  # of the prose, behind the comments: a manual has a chapter on comments
_MIN_APPENDED_LINKS: Final = 0.3  # of the lines under a heading of related pages
_MIN_CHILD: Final = 0.9  # of the prose of its parent, in the element that is descended into

_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_ITEMS: Final = frozenset({"li", "dd", "dt", "p", "td", "div"})
_CONTAINERS: Final = words(
    "html body div section article main td table tbody tr center form fieldset blockquote dl dd ul ol li details"
)
# A title around the site's name: nothing, or a separator.
_SEPARATOR_END: Final = re.compile(r"(?:^|[|｜:：»«/／•·・–—―‐-])\s*$")
_SEPARATOR_START: Final = re.compile(r"\s*(?:$|[|｜:：»«/／•·・–—―‐-]|\s[(（\[【])")
_QUOTED: Final = re.compile(r'"[^"]*"|\'[^\']*\'')
_TAG: Final = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_UNNESTED: Final = words(
    "area base br col embed hr img input link meta param source track wbr p li dt dd td th tr option"
)
_NESTING_TAG: Final = re.compile(r"</?(?!(?:p|br|script|style|title|li|h[1-6]|td|th|tr)\b)[a-zA-Z][^<>]*>")


class Extracted(NamedTuple):
    """A page's title and main text, the charset it was in, U+FFFD put in for unreadable bytes, and its meta robots.

    `text` has one line a block and no blank line; "" where the page shows no text. `robots` is in lower case, and None
    where the page says nothing. `page_text` is all that the page shows, its title and navigation included.
    """

    title: str
    text: str
    charset: str
    num_replaced: int
    robots: str | None
    page_text: str


def extract(html: bytes, content_type: str | None = None) -> Extracted:
    """The title and the main text of a page; `content_type` is the value of the HTTP header.

    Any bytes will do. The text can always be encoded as UTF-8.
    """
    decoded = charset.decode(html, content_type)
    tree = LexborHTMLParser(_flattened(_without_long_tags(decoded.text)), scripting=True)
    root = tree.root
    if root is None:
        return Extracted("", "", decoded.charset, decoded.num_replaced, None, "")
    elements, blocks = walk(root)
    title, robots = _metadata(tree.head, next((b.text for b in blocks if elements[b.element].tag == "h1"), ""))
    main = _main_texts(elements, blocks)
    if not main and (frames := tree.css_first("noframes")) is not None:  # its content is text to the parser
        elements, blocks = walk(LexborHTMLParser(frames.text(), scripting=True).root)
        main = _main_texts(elements, blocks)
    if not main:
        _, blocks = walk(root, everything=True)
        main = [block.text for block in blocks]
    page_text = "\n".join([title, *[block.text for block in blocks]])
    return Extracted(title, "\n".join(main), decoded.charset, decoded.num_replaced, robots, page_text)


def _without_long_tags(source: str) -> str:
    """The page; tags with more than MAX_ATTRIBUTES keep none of them."""
    if not _may_have_long_tag(source):
        return source
    chunks = source.split("<")
    for index, chunk in enumerate(chunks):
        if index and chunk[:1].isalpha() and len(chunk) >= 2 * MAX_ATTRIBUTES:
            tag, end, text = chunk.partition(">")
            if len(tag) >= 2 * MAX_ATTRIBUTES and len(_QUOTED.sub("", tag).split()) > MAX_ATTRIBUTES:
                chunks[index] = tag.split(maxsplit=1)[0] + (end or ">") + text
    return "<".join(chunks)


def _may_have_long_tag(source: str) -> bool:
    """Whether a tag is 2 * MAX_ATTRIBUTES characters long: an attribute and a space are two characters at least."""
    in_text = False
    for start in range(0, len(source) - MAX_ATTRIBUTES, MAX_ATTRIBUTES):  # so long a tag fills one of these pieces
        if source.find("<", start, start + MAX_ATTRIBUTES) >= 0:
            in_text = False
        elif not in_text:
            tag = source.rfind("<", 0, start)
            end = source.find(">", tag) if tag >= 0 else 0
            if end < 0 or end - tag >= 2 * MAX_ATTRIBUTES:
                return True
            in_text = True
    return False


def _flattened(source: str) -> str:
    """The page; where its elements may nest deeper than MAX_DEPTH, with only paragraphs, cells and items as tags."""
    return source if depth(source, MAX_DEPTH) < MAX_DEPTH else _NESTING_TAG.sub("\n", source)


def depth(source: str, suspicious: int) -> int:
    """How deep a page's elements may nest, by its tags alone; 0 where a count shows that it is below `suspicious`."""
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

    The title is <title>'s, without the site's name where og:title or <h1> are the rest of it, or og:site_name is what
    follows its last separator; else one of these.
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


def _main_texts(elements: list[Element], blocks: list[Block]) -> list[str]:
    """The texts of the blocks that are main text, in document order."""
    _sum_up(elements, blocks)
    total = elements[0].prose
    # Elements that their name says are no main text, unless they hold much of the page's prose.
    elements[0].dropped = False
    for element in elements[1:]:
        element.dropped = elements[element.parent].dropped or (element.hint > 0 and _is_boilerplate(element, total))
    kept = [block for block in blocks if not elements[block.element].dropped]
    if not kept:
        return [block.text for block in blocks]
    if len(kept) < len(blocks):
        _sum_up(elements, kept)
    inside = _inside_main(elements)
    texts = _without_link_lists(
        elements, [block for block in _without_appendices(elements, kept) if inside[block.element]]
    )
    return texts or [block.text for block in kept]


def _is_boilerplate(element: Element, total: int) -> bool:
    """Whether an element is what its names hint at; `total` is the page's prose."""
    if element.hint == HIDDEN:
        return element.prose <= _MAX_HIDDEN_FRACTION * total
    if element.hint == SIDEBAR and element.prose >= _MIN_SIDEBAR_PROSE * element.weight:
        return False  # a box in a manual or a magazine's article: the sidebar of a site is mostly lists and links
    return element.hint in (BOILERPLATE, SIDEBAR) and element.prose <= _MAX_HINTED_FRACTION * total


def _sum_up(elements: list[Element], blocks: list[Block]) -> None:
    for element in elements:
        element.weight = element.linked = element.prose = element.num_blocks = 0
    for block in blocks:
        element = elements[block.element]
        element.weight += block.weight
        element.linked += block.linked
        element.prose += block.prose
        element.num_blocks += 1
    for index in range(len(elements) - 1, 0, -1):  # document order: children after their parent
        element = elements[index]
        if not element.num_blocks:
            continue
        parent = elements[element.parent]
        parent.weight += element.weight
        parent.linked += element.linked
        parent.prose += element.prose
        parent.num_blocks += element.num_blocks


def _without_appendices(elements: list[Element], blocks: list[Block]) -> list[Block]:
    """The blocks without those under a heading of related pages, of which a good part is links, or of comments."""
    total = elements[0].prose
    kept: list[Block] = []
    index = 0
    while index < len(blocks):
        block = blocks[index]
        if total and block.weight <= _MAX_APPENDIX_HEADING and elements[block.element].tag in _HEADINGS:
            of_comments = wording.is_about_comments(block.text)
            if of_comments or wording.is_related(block.text):
                end = _end_of_section(elements, blocks, index)
                section = blocks[index + 1 : end]
                of_comments &= sum(other.prose for other in blocks[end:]) <= _MAX_AFTER_COMMENTS * total
                num_linked = sum(other.linked > MAX_LINK_DENSITY * other.weight for other in section)
                if sum(other.prose for other in section) <= _MAX_APPENDED * total and (
                    of_comments or (num_linked > 1 and num_linked >= _MIN_APPENDED_LINKS * len(section))
                ):
                    index = end
                    continue
        kept.append(block)
        index += 1
    return kept


def _end_of_section(elements: list[Element], blocks: list[Block], index: int) -> int:
    """The index after the last block of the section of the heading at `index`: the outermost element that begins with
    the heading, or else what follows it up to the next heading that is no lower."""
    before = set(_ancestors(elements, blocks[index - 1].element)) if index else {0}
    inner = blocks[index].element
    while elements[inner].parent not in before:
        inner = elements[inner].parent
    heading = elements[blocks[index].element].tag
    parent = elements[inner].parent
    end = index + 1
    while end < len(blocks) and inner in _ancestors(elements, blocks[end].element):
        end += 1
    if end > index + 1:
        return end
    while (
        end < len(blocks)
        and parent in _ancestors(elements, blocks[end].element)
        and not (elements[blocks[end].element].tag in _HEADINGS and elements[blocks[end].element].tag <= heading)
    ):
        end += 1
    return end


def _ancestors(elements: list[Element], index: int) -> list[int]:
    """The element itself, its parent, and so on to the root."""
    found = []
    while index >= 0:
        found.append(index)
        index = elements[index].parent
    return found


def _inside_main(elements: list[Element]) -> list[bool]:
    """For each element, whether it is main text: below the elements that are named so, and there in the innermost one
    that holds most of the prose."""
    hints = {element.hint for element in elements}
    inside = [True] * len(elements)
    prose = elements[0].prose
    mains = [0]
    for hint, fraction in ((MAIN, _MIN_MAIN), (ARTICLE, _MIN_ARTICLE), (ARTICLE_BODY, _MIN_ARTICLE_BODY)):
        if hint not in hints:
            continue
        named: list[int] = []
        below = [False] * len(elements)
        for index in range(1, len(elements)):
            element = elements[index]
            if below[element.parent]:
                below[index] = True
            elif element.hint == hint and inside[index] and element.prose > 0 and not element.dropped:
                below[index] = True
                named.append(index)
        found = sum(elements[index].prose for index in named)
        if hint == ARTICLE_BODY and len(named) > 1:  # entries in a row, each below its title
            for index in range(elements[named[0]].parent, named[-1]):
                below[index] |= inside[index] and elements[index].tag in _HEADINGS
        if found > (fraction if len(named) == 1 else _MIN_SEVERAL) * prose:
            inside, mains, prose = below, named, found
    if len(mains) == 1:
        inside = _below(elements, _innermost(elements, mains[0]))
    return inside


def _innermost(elements: list[Element], main: int) -> int:
    """The innermost element in `main` that is reached through elements holding most of their parent's prose."""
    best_child: dict[int, int] = {}
    for index in range(main + 1, len(elements)):
        element = elements[index]
        if element.tag in _CONTAINERS and element.prose:
            best = best_child.get(element.parent)
            if best is None or element.prose > elements[best].prose:
                best_child[element.parent] = index
    while (child := best_child.get(main)) is not None and elements[child].prose >= _MIN_CHILD * elements[main].prose:
        main = child
    return main


def _below(elements: list[Element], ancestor: int) -> list[bool]:
    below = [False] * len(elements)
    below[ancestor] = True
    for index in range(ancestor + 1, len(elements)):
        below[index] = below[elements[index].parent]
    return below


def _without_link_lists(elements: list[Element], blocks: list[Block]) -> list[str]:
    """The texts of blocks without lists of links that stand before the prose, outweigh it, or follow a heading of
    related pages; without lines that no article consists of; without headings that nothing follows.

    In the named body of an article a list of links is the author's own and stays.
    """
    prose = sum(block.prose for block in blocks)
    texts: list[str] = []
    headings: list[str] = []
    prose_seen = False
    for block in blocks:
        element = elements[block.element]
        if block.weight < _MAX_BOILERPLATE_LINE and wording.is_boilerplate(block.text):
            continue
        is_linked = block.linked > MAX_LINK_DENSITY * block.weight
        if is_linked and block.weight < _MAX_NAVIGATION_LINE and wording.is_navigation(block.text):
            continue
        if element.tag in _HEADINGS:
            headings.append(wording.without_permalink(block.text))
            continue
        if not prose_seen and block.weight < _MAX_BOILERPLATE_LINE and wording.is_date(block.text):
            continue
        prose_seen |= block.prose > 0
        if is_linked:
            if block.weight < MAX_TEASER_WEIGHT and block.text.endswith(CUT):
                continue
            is_list = block.text.count("\n") > 1  # of lines that end with <br>
            links = element if is_list or element.tag not in _ITEMS else elements[element.parent]
            if (
                (is_list or links.num_blocks > 1)
                and links.linked > _MIN_LINK_LIST_DENSITY * links.weight
                and not _is_in_article_body(elements, block.element)
                and (not prose_seen or links.weight > prose or (headings and wording.is_related(headings[-1])))
            ):
                continue
        texts += headings
        headings.clear()
        texts.append(wording.without_permalink(block.text) if element.tag == "dt" else block.text)
    return texts


def _is_in_article_body(elements: list[Element], index: int) -> bool:
    while index > 0:
        if elements[index].hint == ARTICLE_BODY:
            return True
        index = elements[index].parent
    return False
