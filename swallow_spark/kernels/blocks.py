"""A page's DOM, walked once, as blocks (the text of one paragraph, heading, list item, cell ...) and the block-level
elements that hold them, each with what its tag and its names hint at. `html` makes the main text of them.
"""

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

__all__ = [
    "ARTICLE",
    "ARTICLE_BODY",
    "BOILERPLATE",
    "HIDDEN",
    "MAIN",
    "MAX_LINK_DENSITY",
    "SIDEBAR",
    "SPACE",
    "Block",
    "Element",
    "walk",
    "words",
]


def words(text: str) -> frozenset[str]:
    """The words of a list of tags or names."""
    return frozenset(text.split())


_MIN_SENTENCE_WEIGHT: Final = 20  # of a block with sentence punctuation; in half-width characters
_MIN_LONG_WEIGHT: Final = 100  # of a block without
MAX_LINK_DENSITY: Final = 0.5  # of a block of prose

_SKIPPED: Final = words(
    "script style noscript template svg math iframe object embed applet audio video canvas select textarea button "
    "input datalist map head title meta link rt rp rtc noframes frameset dialog progress meter img source area"
)
_BLOCKS: Final = words(
    "address article aside blockquote body center dd details dir div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol optgroup p pre search section summary table "
    "tbody td tfoot th thead tr ul caption listing xmp plaintext"
)
# What an element's tag, role, itemprop and names hint at.
MAIN, ARTICLE, ARTICLE_BODY, BOILERPLATE, SIDEBAR, HIDDEN = 1, 2, 3, 4, 5, 6
_TAG_HINTS: Final = {
    "main": MAIN,
    "article": ARTICLE,
    "aside": SIDEBAR,
    **dict.fromkeys(("nav", "footer", "header", "menu", "search"), BOILERPLATE),
}
_PREFORMATTED: Final = frozenset({"pre", "listing", "xmp", "plaintext"})

# Words of class and id names: hints only.
_BOILERPLATE_WORDS: Final = words(
    "nav navi navs navbar gnav gnavi lnav globalnav globalnavi navigation sidebar sidenav sidemenu sidebox sidecol "
    "sidearea breadcrumb breadcrumbs crumb crumbs topicpath pankuzu foot footer footers header menu menus submenu "
    "related relation relate recommend recommended recommends recommendation recommendations ranking share shares "
    "sharing sharer sns social tweet comments comment respond trackback trackbacks pager pagination paginate paging "
    "pagenavi tags taglist tagcloud advert advertisement ad ads adsense banner banners bnr bnrs sponsor sponsored "
    "promo popup modal cookie cookies login signin copyright copyrights prev next recent popular calendar "
    "newsletter subscribe subscription skip profile byline toolbar masthead navheader navfooter sphinxsidebar "
    "headerlink editsection catlinks printfooter toc rightbar leftbar pickup bookmark bookmarks socialbutton "
    "pagetop totop colophon"
)
_BOILERPLATE_TOKENS: Final = words("side sub widget right-column copy author archive archives search tag lang")
_STATES: Final = words("has no with without is not js wp-singular")
_ARTICLE_TOKEN: Final = re.compile(
    r"(?:article|entry|post|story|news|blog|detail|single|c?ms)[-_]?(?:main[-_]?)?(?:body|text|contents?|txt|detail)(?:[-_]?(?:inner|body|area))?"
    r"|honbun|main[-_]?(?:text|txt)|markdown-body|wysiwyg|body[-_]?text",
    re.IGNORECASE,
)
_MAIN_TOKEN: Final = re.compile(
    r"(?:main|page|contents?|site)[-_]?(?:contents?|main|body|area|column|col)|main|contents?", re.IGNORECASE
)
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_HIDDEN_STYLE: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SENTENCE_END: Final = re.compile(r"[、。！？．，｡､]|[.,!?;:](?=\s|$)")
# White space and control characters, but not the ideographic space, which Japanese paragraphs begin with. A single
# space doesn't match: nothing is to be done about it.
_SPACES: Final = r"\x03-\x1f\x7f-\xa0\u2000-\u200b\u2028\u2029\u202f\u205f\ufeff"
SPACE: Final = re.compile(rf"[{_SPACES}][ {_SPACES}]*| [ {_SPACES}]+")
# A line break in the source between two wide characters is no space (CSS Text 3, section 4.1.3).
_WIDE: Final = r"[\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff9f]"
_WIDE_BREAK: Final = re.compile(rf"(?<={_WIDE})[ \t]*[\r\n]\s*(?={_WIDE})")
# Marks in a block while it is gathered: a line break, and space that is kept.
_BREAK: Final = "\x00"
_KEEP: Final = str.maketrans(" \t\n", "\x01\x02\x00", "\r")
_KEPT: Final = str.maketrans("\x01\x02\x00", " \t\n")


class Element:
    """A block-level element, with sums over the blocks below it."""

    __slots__ = ("dropped", "hint", "linked", "num_blocks", "parent", "prose", "tag", "weight")

    def __init__(self, parent: int, tag: str, hint: int) -> None:
        self.parent = parent
        self.tag = tag
        self.hint = hint
        self.weight = 0
        self.linked = 0
        self.prose = 0
        self.num_blocks = 0
        self.dropped = False


class Block(NamedTuple):
    """The text of a paragraph, heading, list item ...

    `weight` is its length in half-width characters, `linked` that of its link text, `prose` that of the rest where the
    block reads as prose, else 0.
    """

    element: int
    text: str
    weight: int
    linked: int
    prose: int


def walk(root: Any, everything: bool = False) -> tuple[list[Element], list[Block]]:
    """The page's block-level elements in document order, the first of them its root, and its blocks.

    Inline elements that are hidden are left out, unless `everything` is asked for. Iterative: pages nest without end.
    """
    elements = [Element(-1, "html", 0)]
    blocks: list[Block] = []
    parts: list[str] = []
    linked = 0  # characters of the current block that are link text
    link_depth = pre_depth = 0
    current = 0
    stack: list[tuple[Any, str]] = []
    node = root
    while True:
        tag = node.tag
        descend = False
        if tag == "-text":
            text = node.text_content
            if pre_depth:
                parts.append(text.translate(_KEEP))
            elif parts or not text.isspace():
                parts.append(text)
            if link_depth:
                linked += _weight(text.strip())
        elif tag == "br":
            parts.append(_BREAK)
        elif tag in _BLOCKS:
            attributes = node.attributes
            if parts:
                _flush(blocks, parts, linked, current)
                linked = 0
            hint = _TAG_HINTS.get(tag, 0)
            if attributes:
                hint = _attribute_hint(attributes, hint)
            elements.append(Element(current, tag, hint))
            current = len(elements) - 1
            pre_depth += tag in _PREFORMATTED
            descend = True
        elif tag == "a":
            attributes = node.attributes
            link_depth += "href" in attributes
            descend = True
        elif tag not in _SKIPPED and tag[0] != "-":
            descend = everything or not _is_hidden(node.attributes)
        child = node.first_child if descend else None
        if child is not None:
            stack.append((node, tag))
            node = child
            continue
        closing = descend
        while True:
            if closing:
                if tag == "a":
                    link_depth -= "href" in node.attributes
                elif tag in _BLOCKS:
                    if parts:
                        _flush(blocks, parts, linked, current)
                        linked = 0
                    pre_depth -= tag in _PREFORMATTED
                    current = elements[current].parent
            following = node.next if stack else None
            if following is not None:
                node = following
                break
            if not stack:
                _flush(blocks, parts, linked, current)
                return elements, blocks
            node, tag = stack.pop()
            closing = True


def _attribute_hint(attributes: dict[str, str | None], hint: int) -> int:
    """The hint of an element's attributes, or `hint` of its tag."""
    style = attributes.get("style")
    if "hidden" in attributes or (style is not None and _HIDDEN_STYLE.search(style) is not None):
        return HIDDEN
    if attributes.get("itemprop") == "articleBody":
        return ARTICLE_BODY
    role = attributes.get("role")
    if role == "main":
        return MAIN
    if role == "navigation" or role == "banner" or role == "contentinfo" or role == "complementary":
        return BOILERPLATE
    if hint:
        return hint
    for name in (attributes.get("id"), attributes.get("class")):
        if name:
            for token in name.split():
                if token_hint := _hint(token):
                    if token_hint in (MAIN, ARTICLE_BODY):
                        return token_hint
                    hint = token_hint
    return hint


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    if not attributes:
        return False
    style = attributes.get("style")
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or (style is not None and _HIDDEN_STYLE.search(style) is not None)
    )


def _weight(text: str) -> int:
    """Length in half-width characters: wide ones count double (3 bytes of UTF-8)."""
    return len(text) if text.isascii() else (len(text) + len(text.encode("utf-8", "replace"))) // 2


def _flush(blocks: list[Block], parts: list[str], linked: int, current: int) -> None:
    """Ends the block in `parts`, and empties `parts`."""
    text = "".join(parts)
    parts.clear()
    if "\n" in text and not text.isascii():
        text = _WIDE_BREAK.sub("", text)
    text = SPACE.sub(" ", text)
    if _BREAK in text or "\x01" in text or "\x02" in text:
        lines = (raw.strip(" ").translate(_KEPT).rstrip() for raw in text.split(_BREAK))
        text = "\n".join(line for line in lines if line)
    else:
        text = text.strip(" ")
    if not text or text.isspace():
        return
    weight = _weight(text)
    linked = min(linked, weight)
    is_prose = linked <= MAX_LINK_DENSITY * weight and (
        weight >= _MIN_LONG_WEIGHT or (weight >= _MIN_SENTENCE_WEIGHT and _SENTENCE_END.search(text) is not None)
    )
    blocks.append(Block(current, text, weight, linked, weight - linked if is_prose else 0))


@lru_cache(maxsize=1 << 14)
def _hint(token: str) -> int:
    """What the name of a class or an id hints at: MAIN, ARTICLE_BODY, SIDEBAR, BOILERPLATE or 0."""
    if _ARTICLE_TOKEN.fullmatch(token) is not None:
        return ARTICLE_BODY
    if _MAIN_TOKEN.fullmatch(token) is not None:
        return MAIN
    # Utility classes (lg:toc-hidden, max-w-[20rem]) and ids made of a sentence aren't names.
    if ":" in token or "[" in token or len(token) > 48:
        return 0
    if token == "sidebar":
        return SIDEBAR
    words = _CAMEL.sub("-", token).lower().replace("_", "-").split("-")
    if len(words) > 4 or words[0] in _STATES:
        return 0
    return BOILERPLATE if token.lower() in _BOILERPLATE_TOKENS or not _BOILERPLATE_WORDS.isdisjoint(words) else 0
