"""The choice of the blocks that are a page's main text.

Prose is found by sentence punctuation, full-width or ASCII, and by length with wide characters counted double; links
count against it (link density: Kohlschütter et al., "Boilerplate Detection using Shallow Text Features", WSDM 2010).
The search is limited to elements that tags, roles and names mark as main text or article. There it descends to the
innermost element with most of the prose; siblings on the way down that read as text are kept. Names of classes and ids
are hints only, and are ignored if the element has much of the page's prose.
"""

from typing import Final

from swallow_spark.kernels.html import wording
from swallow_spark.kernels.html.blocks import (
    ARTICLE,
    ARTICLE_BODY,
    BOILERPLATE,
    CUT,
    HIDDEN,
    MAIN,
    MAX_LINK_DENSITY,
    MAX_TEASER_WEIGHT,
    SIDEBAR,
    Block,
    Element,
    words,
)

_MAX_HINTED_FRACTION: Final = 0.35  # of the page's prose, in an element whose name says it is not main text
_MAX_HIDDEN_FRACTION: Final = 0.6  # the same, in an element that is hidden until a script shows it
_MIN_SIDEBAR_PROSE: Final = 0.7  # of the characters of a sidebar that belongs to the text
_MIN_MAIN: Final = 0.4  # of the prose, in <main>
_MIN_ARTICLE: Final = 0.05  # of that prose, in the only article: a short post beside a long sidebar
_MIN_ARTICLE_BODY: Final = 0.05  # of that prose, in the only element named as the body of an article
_MIN_SEVERAL: Final = 0.6  # of the prose, if there are several: forum posts, a list of entries, but also teasers
_MIN_LINK_LIST_DENSITY: Final = 0.6  # of the characters of a list of links
_MAX_BOILERPLATE_LINE: Final = 200  # half-width characters of a line that is dropped for its words
_MAX_NAVIGATION_LINE: Final = 100  # half-width characters of a line of links that is dropped for its words
_MAX_APPENDIX_HEADING: Final = 50  # half-width characters of a heading of related pages or comments
_MAX_APPENDED: Final = 0.35  # of the prose, under a heading of related pages or comments
_MAX_AFTER_COMMENTS: Final = 0.05  # of the prose, after the comments: a manual may have a chapter on comments
_MIN_APPENDED_LINKS: Final = 0.3  # of the lines under a heading of related pages
_MIN_SOLE: Final = 0.9  # of its parent's prose, in an element without text beside it
_MIN_TRUNK: Final = 0.4  # of its parent's prose, in an element that is descended into
_MAX_LINKED_BESIDE: Final = 0.5  # characters of links by those of prose, in text beside the main element
_MIN_LINKED_TEASERS: Final = 0.2  # the same, in an element with as many lines of links as of prose: teasers

_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_ITEMS: Final = frozenset({"li", "dd", "dt", "p", "td", "div"})
_LISTS: Final = frozenset({"ul", "ol", "dl"})
_LAYOUT: Final = words("div section article main center form fieldset aside header footer nav")  # for areas of a page
_TABLES: Final = words("table tbody tr td")  # the same on old pages, but most contain data
_NAMELESS_SECTIONS: Final = frozenset({"section", "article"})  # side by side they are parts of one text
_CONTAINERS: Final = words(
    "html body div section article main td table tbody tr center form fieldset blockquote dl dd ul ol li details"
)


def main_texts(elements: list[Element], blocks: list[Block]) -> list[str]:
    """The texts of the blocks that are main text, in document order."""
    _sum_up(elements, blocks)
    page = elements[0]
    page.dropped = False
    for element in elements[1:]:
        element.dropped = elements[element.parent].dropped or _is_boilerplate(element, page.prose, page.weight)
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


def _is_boilerplate(element: Element, total: int, weight: int) -> bool:
    """Whether an element is not main text by its names, unless it has much of the page's prose (`total`), or a form
    with labels only; `weight` is the page's length."""
    if not element.hint:
        return element.tag == "form" and not element.prose and element.weight <= _MAX_HINTED_FRACTION * weight
    if element.hint == HIDDEN:
        return element.prose <= _MAX_HIDDEN_FRACTION * total
    if element.hint == SIDEBAR and element.prose >= _MIN_SIDEBAR_PROSE * element.weight:
        return False  # a box in an article: the sidebar of a site is mostly lists and links
    return element.hint in (BOILERPLATE, SIDEBAR) and element.prose <= _MAX_HINTED_FRACTION * total


def _sum_up(elements: list[Element], blocks: list[Block]) -> None:
    for element in elements:
        element.weight = element.linked = element.prose = 0
        element.num_blocks = element.num_links_over = 0
    for block in blocks:
        element = elements[block.element]
        element.weight += block.weight
        element.linked += block.linked
        element.prose += block.prose
        element.num_blocks += 1
        if block.prose:
            element.num_links_over -= 1
        elif block.linked > MAX_LINK_DENSITY * block.weight:
            element.num_links_over += 1
    for index in range(len(elements) - 1, 0, -1):  # document order: children after their parent
        element = elements[index]
        if not element.num_blocks:
            continue
        parent = elements[element.parent]
        parent.weight += element.weight
        parent.linked += element.linked
        parent.prose += element.prose
        parent.num_blocks += element.num_blocks
        parent.num_links_over += element.num_links_over


def _without_appendices(elements: list[Element], blocks: list[Block]) -> list[Block]:
    """The blocks without those under a heading of comments, or of related pages with enough links."""
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
    the heading, or if it has no other block, everything up to the next heading of the same or a higher level."""
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
    """For each element, whether it is main text: in the elements named so, and in the innermost with most prose."""
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
        inside = _trunk(elements, mains[0])
    return inside


def _trunk(elements: list[Element], main: int) -> list[bool]:
    """For each element, whether it is text: the innermost element in `main` reached through elements with a good part
    of their parent's prose, and siblings on the way that read as text."""
    children: dict[int, list[int]] = {}
    for index in range(main + 1, len(elements)):
        if elements[index].num_blocks:
            children.setdefault(elements[index].parent, []).append(index)
    inside = [False] * len(elements)
    decided = [False] * len(elements)
    # Everything in the named body of an article was put there by its author.
    least = _MIN_SOLE if elements[main].hint == ARTICLE_BODY else _MIN_TRUNK
    while (trunk := _next(elements, children, main, least)) is not None:
        around = children[main]
        is_sole = elements[trunk].prose >= _MIN_SOLE * elements[main].prose
        inside[main] = not is_sole and elements[main].prose > sum(elements[index].prose for index in around)
        decided[main] = True
        kept = [index for index in around if index == trunk or _is_text_beside(elements, index, trunk, is_sole)]
        for index in around:
            decided[index] = True
            # Between two parts of the text everything but links is text.
            inside[index] = kept[0] < index < kept[-1] and not elements[index].prose and not _is_linked(elements[index])
        for index in kept:
            inside[index] = True
        if any(index != trunk and _are_alike(elements[index], elements[trunk]) for index in kept):
            break  # the sections of one text
        main = trunk
    else:
        inside[main] = decided[main] = True
    for index in range(1, len(elements)):
        if not decided[index]:
            inside[index] = inside[elements[index].parent]
    return inside


def _next(elements: list[Element], children: dict[int, list[int]], main: int, least: float) -> int | None:
    """The child of `main` with the most prose, if it has at least the share `least` and is an area of the page."""
    trunk = max(children.get(main, ()), key=lambda index: elements[index].prose, default=None)
    if trunk is None:
        return None
    prose, tag = elements[trunk].prose, elements[trunk].tag
    if tag in _LISTS:  # otherwise it is a list in the text
        if max((elements[index].prose for index in children.get(trunk, ())), default=0) < _MIN_SOLE * prose:
            return None
    elif tag not in _CONTAINERS:
        return None
    return trunk if prose > 0 and prose >= (least if tag in _LAYOUT else _MIN_SOLE) * elements[main].prose else None


def _is_text_beside(elements: list[Element], index: int, trunk: int, is_sole: bool) -> bool:
    """Whether a sibling of the element with the most prose (`is_sole`: nearly all of it) belongs to the same text."""
    element = elements[index]
    if _are_alike(element, elements[trunk]):
        return not _is_linked(element)
    if is_sole:
        return False
    if element.tag not in _LAYOUT and element.tag not in _TABLES:
        return not _is_linked(element)
    if element.num_links_over >= 0 and element.linked > _MIN_LINKED_TEASERS * element.prose:
        return False
    return element.prose > 0 and element.linked <= _MAX_LINKED_BESIDE * element.prose


def _are_alike(element: Element, trunk: Element) -> bool:
    """Whether two siblings have the same tag and class: sections of one text."""
    return (
        element.tag == trunk.tag
        and element.names == trunk.names
        and (element.names is not None or element.tag in _NAMELESS_SECTIONS)
    )


def _is_linked(element: Element) -> bool:
    return element.linked > MAX_LINK_DENSITY * element.weight


def _without_link_lists(elements: list[Element], blocks: list[Block]) -> list[str]:
    """The texts of blocks, without lists of links before the prose, longer than it, or under a heading of related
    pages; without boilerplate lines; without headings that nothing follows.

    Lists of links stay in the named body of an article, and on a page without prose, such as a table of contents.
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
                and all(elements[index].hint != ARTICLE_BODY for index in _ancestors(elements, block.element))
                and (
                    (prose and (not prose_seen or links.weight > prose))
                    or (headings and wording.is_related(headings[-1]))
                )
            ):
                continue
        texts += headings
        headings.clear()
        texts.append(wording.without_permalink(block.text) if element.tag == "dt" else block.text)
    return texts
