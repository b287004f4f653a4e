"""A page's DOM, walked once, as blocks (the text of a paragraph, heading, list item, cell ...) and the block-level
elements around them, each with a hint from its tag and names. `maintext` chooses the main text from them.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from selectolax.lexbor import LexborHTMLParser, create_tag

from swallow_spark.kernels.html import wording


def words(text: str) -> frozenset[str]:
    """The words of a list of tags or names."""
    return frozenset(text.split())


_MIN_SENTENCE_WEIGHT: Final = 20  # of a block with sentence punctuation; in half-width characters
_MIN_FULL_SENTENCE_WEIGHT: Final = 12  # of a block that ends with a full-width full stop
_FULL_STOPS: Final = ("。", "！", "？")
_MIN_LONG_WEIGHT: Final = 100  # of other blocks
MAX_TEASER_WEIGHT: Final = 300  # of the first words of a linked page
CUT: Final = ("…", "...", "[…]", "・・・")  # these end with it
_FINE_PRINT_SHARE: Final = 4  # one part of fine print counts as prose: there are articles about cookies
MAX_LINK_DENSITY: Final = 0.5  # of a block of prose

_SKIPPED: Final = words(
    "script style noscript template svg math iframe object embed applet audio video canvas select textarea "
    "input datalist map head title meta link rt rp rtc noframes frameset dialog progress meter img source area"
)
_BLOCKS: Final = words(
    "address article aside blockquote body button center dd details dir div dl dt fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol optgroup p pre search section summary "
    "table tbody td tfoot th thead tr ul caption listing xmp plaintext"
)
# Hints from an element's tag, role, itemprop and names.
MAIN, ARTICLE, ARTICLE_BODY, BOILERPLATE, SIDEBAR, HIDDEN = 1, 2, 3, 4, 5, 6
_MAX_NAMES_CHARS: Final = 400  # of a class or id that are read
_NAMES_OF_TEXT: Final = (MAIN, ARTICLE, ARTICLE_BODY)
_TAG_HINTS: Final = {
    "main": MAIN,
    "article": ARTICLE,
    "aside": SIDEBAR,
    **dict.fromkeys(("nav", "footer", "header", "menu", "search", "button"), BOILERPLATE),
}
_ANCHORED: Final = words("section h1 h2 h3 h4 h5 h6 p dt dd")  # their ids are made from words of the text
_BUTTON_LABELS: Final = words("h1 h2 h3 h4 h5 h6 dt summary")  # a button in these is their text: accordions
# How the walk treats a node, by the parser's number of its tag, which is quicker to read than the name. All others are
# inline (comments too, which are empty).
_INLINE, _SKIP, _LINK, _LINE_BREAK, _BLOCK, _PRE = range(6)
_KINDS: Final = {
    create_tag(tag).tag_id: kind
    for tag, kind in {
        **dict.fromkeys(_SKIPPED, _SKIP),
        **dict.fromkeys(_BLOCKS, _BLOCK),
        **dict.fromkeys(("pre", "listing", "xmp", "plaintext"), _PRE),
        "a": _LINK,
        "br": _LINE_BREAK,
    }.items()
}
_TEXT: Final = next(LexborHTMLParser("<p>x").css("p")[0].iter(include_text=True)).tag_id

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
    "pagetop totop colophon navbox signature"
)
_BOILERPLATE_TOKENS: Final = words("side sub widget right-column copy author archive archives search tag lang")
_STATES: Final = words("has no with without is not js wp-singular")
_ARTICLE_TOKEN: Final = re.compile(
    r"(?:article|entry|post|story|news|blog|detail|single|cms)[-_]?(?:main[-_]?)?(?:body|text|contents?|txt|detail)(?:[-_]?(?:inner|body|area))?"
    r"|honbun|main[-_]?(?:text|txt)|markdown-body|wysiwyg|body[-_]?text",
    re.IGNORECASE,
)
_POST_TOKEN: Final = re.compile(
    r"(?:(?:h|blog|single|main|news)[-_]?)?(?:post|entry|article)(?:[-_]?(?:inner|wrap(?:per)?|area|box|main))?",
    re.IGNORECASE,
)
_MAIN_TOKEN: Final = re.compile(
    r"(?:main|page|contents?|site)[-_]?(?:contents?|main|body|area|column|col)|main|contents?", re.IGNORECASE
)
# Attributes that may hide an element, or give a hint; most elements have none of them.
_HIDING: Final = words("hidden aria-hidden style")
_TELLING: Final = words("hidden style itemprop role")
_MARKS: Final = words("reference mw-editsection")  # Wikipedia's [1] and [edit]
_BOILERPLATE_ROLES: Final = words("navigation banner contentinfo complementary")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_HIDDEN_STYLE: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
# Two expressions, since searching a set of characters is several times as fast as an alternation.
_WIDE_SENTENCE_END: Final = re.compile("[、。！？．，｡､]")
_SENTENCE_END: Final = re.compile(r"[.,!?;:](?=\s|$)")
# White space and control characters, except the ideographic space, which begins Japanese paragraphs, and a single
# space, which need not be replaced.
_SPACES: Final = r"\x03-\x1f\x7f-\xa0\u2000-\u200b\u2028\u2029\u202f\u205f\ufeff"
SPACE: Final = re.compile(rf"[{_SPACES}][ {_SPACES}]*| [ {_SPACES}]+")
# Marks in an unfinished block: a line break, and space that is kept.
_BREAK: Final = "\x00"
_KEEP: Final = str.maketrans(" \t\n", "\x01\x02\x00", "\r")
_KEPT: Final = str.maketrans("\x01\x02\x00", " \t\n")


@dataclass(slots=True, eq=False, repr=False)
class Element:
    """A block-level element. `names` is its class attribute. `maintext` adds `dropped` and sums over its blocks."""

    parent: int
    tag: str
    hint: int
    names: str | None = None
    dropped: bool = field(init=False)
    linked: int = field(init=False)
    num_blocks: int = field(init=False)
    num_links_over: int = field(init=False)
    """Blocks of links minus blocks of prose."""
    prose: int = field(init=False)
    weight: int = field(init=False)


class Block(NamedTuple):
    """The text of a paragraph, heading, list item ... `weight` is its length in half-width characters, `linked` that of
    its link text, `prose` that of the rest if the block reads as prose, otherwise 0."""

    element: int
    text: str
    weight: int
    linked: int
    prose: int


def walk(root: Any, everything: bool = False) -> tuple[list[Element], list[Block]]:
    """The page's block-level elements in document order, the root first, and its blocks. Hidden inline elements and a
    wiki's marks are skipped unless `everything`. Iterative, since pages can nest very deeply."""
    elements = [Element(-1, "html", 0)]
    blocks: list[Block] = []
    parts: list[str] = []
    linked = 0  # characters of the current block that are link text
    link_depth = pre_depth = current = 0
    stack: list[tuple[Any, int]] = []  # the entered ancestors with their kinds
    node = root
    kinds, inline, is_text, is_block, is_pre = _KINDS, _INLINE, _TEXT, _BLOCK, _PRE  # locals are faster to read
    while True:
        tag_id = node.tag_id
        child = None
        if tag_id == is_text:
            if parts or not node.is_empty_text_node:  # more than half are
                text = node.text_content
                if pre_depth:
                    parts.append(text.translate(_KEEP))
                elif parts or not text.isspace():
                    parts.append(text)
                if link_depth:
                    linked += _weight(text.strip())
            elif pre_depth:
                parts.append(node.text_content.translate(_KEEP))
            if (following := node.next) is not None:
                node = following
                continue
            kind = inline
        else:
            kind = kinds.get(tag_id, inline)
            if kind >= is_block:
                if parts:
                    _flush(blocks, parts, linked, current)
                    linked = 0
                child = node.first_child
                if child is not None:
                    tag = node.tag
                    hint = _TAG_HINTS.get(tag, 0)
                    names = None
                    if tag == "button" and elements[current].tag in _BUTTON_LABELS:
                        hint = 0
                    if tag != "body" and (attributes := node.attributes):  # a body's names describe the kind of page
                        hint = _attribute_hint(tag, attributes, hint)
                        names = attributes.get("class")
                    elements.append(Element(current, tag, hint, names))
                    current = len(elements) - 1
                    pre_depth += kind == is_pre
            elif kind == inline:
                child = node.first_child
                if child is not None and not everything and (attributes := node.attributes) and _is_hidden(attributes):
                    child = None
            elif kind == _LINK:
                child = node.first_child
                if child is not None and "href" in node.attrs:  # a third of the cost of node.attributes
                    link_depth += 1
                else:
                    kind = inline
            elif kind == _LINE_BREAK:
                parts.append(_BREAK)
        if child is not None:
            stack.append((node, kind))
            node = child
            continue
        following = node.next if stack else None
        while following is None:
            if not stack:
                _flush(blocks, parts, linked, current)
                return elements, blocks
            node, kind = stack.pop()
            if kind >= is_block:
                if parts:
                    _flush(blocks, parts, linked, current)
                    linked = 0
                current = elements[current].parent
                pre_depth -= kind == is_pre
            elif kind == _LINK:
                link_depth -= 1
            following = node.next if stack else None
        node = following


def _attribute_hint(tag: str, attributes: dict[str, str | None], hint: int) -> int:
    """The hint of an element's attributes, or else `hint`, that of its tag."""
    if not _TELLING.isdisjoint(attributes):
        style = attributes.get("style")
        if "hidden" in attributes or (style is not None and _HIDDEN_STYLE.search(style) is not None):
            return HIDDEN
        if attributes.get("itemprop") == "articleBody":
            return ARTICLE_BODY
        role = attributes.get("role")
        if role == "main":
            return MAIN
        if role in _BOILERPLATE_ROLES:
            return BOILERPLATE
    if hint:
        return hint
    for key in ("class",) if tag in _ANCHORED else ("id", "class"):
        if (names := attributes.get(key)) and (names_hint := _names_hint(names[:_MAX_NAMES_CHARS])):
            if names_hint in _NAMES_OF_TEXT:
                return names_hint
            hint = names_hint
    return hint


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    if attributes.get("class") in _MARKS:
        return True
    if _HIDING.isdisjoint(attributes):
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
    """Appends the block in `parts` to `blocks`, and empties `parts`."""
    text = "".join(parts) if len(parts) > 1 else parts[0] if parts else ""
    parts.clear()
    text = text.strip(" \t\n\r")  # this removes most line breaks
    if "\n" in text and not text.isascii():
        text = _without_wide_breaks(text)
    if "  " in text or not text.isprintable():  # most texts skip this
        text = SPACE.sub(" ", text)
    text = text.strip(" ")
    if "\x01" in text or "\x02" in text:
        lines = [line.strip(" ").translate(_KEPT).rstrip() for line in text.split(_BREAK)]
        text = "\n".join([line for line in lines if line])
    elif _BREAK in text:
        lines = [line.strip(" ").rstrip() for line in text.split(_BREAK)]
        text = "\n".join([line for line in lines if line])
    if not text or text.isspace():
        return
    weight = _weight(text)
    linked = min(linked, weight)
    is_prose = (
        linked <= MAX_LINK_DENSITY * weight
        and not (weight < MAX_TEASER_WEIGHT and text.endswith(CUT))
        and (
            weight >= _MIN_LONG_WEIGHT
            or (weight >= _MIN_SENTENCE_WEIGHT and _has_sentence_end(text))
            or (weight >= _MIN_FULL_SENTENCE_WEIGHT and text.endswith(_FULL_STOPS))
        )
    )
    prose = weight - linked if is_prose else 0
    if prose and wording.is_fine_print(text):
        prose //= _FINE_PRINT_SHARE
    blocks.append(Block(current, text, weight, linked, prose))


def _has_sentence_end(text: str) -> bool:
    return (
        "。" in text  # most often
        or (not text.isascii() and _WIDE_SENTENCE_END.search(text) is not None)
        or _SENTENCE_END.search(text) is not None
    )


def _without_wide_breaks(text: str) -> str:
    """The text without line breaks and the blanks around them. Between two wide characters they are removed (CSS Text
    3, section 4.1.3), elsewhere replaced by a space."""
    pieces: list[str] = []
    before = ""
    for raw in text.split("\n"):
        line = raw.strip(" \t\r")
        if line:
            if before and not (_is_wide(before) and _is_wide(line[0])):
                pieces.append(" ")
            pieces.append(line)
            before = line[-1]
    return "".join(pieces)


def _is_wide(character: str) -> bool:
    """Whether it is Chinese or Japanese, punctuation and half-width kana included. Korean is written with spaces."""
    return (
        "\u2e80" <= character <= "\u30ff"
        or "\u3400" <= character <= "\u9fff"
        or "\uf900" <= character <= "\ufaff"
        or "\uff01" <= character <= "\uff9f"
    )


@lru_cache(maxsize=1 << 14)
def _names_hint(names: str) -> int:
    """What the names in a class or id hint at: the first name of main text, else the last of anything else, or 0."""
    hint = 0
    for token in names.split():
        if token_hint := _hint(token):
            if token_hint in _NAMES_OF_TEXT:
                return token_hint
            hint = token_hint
    return hint


def _hint(token: str) -> int:
    """The hint of a class name or id: MAIN, ARTICLE, ARTICLE_BODY, SIDEBAR, BOILERPLATE or 0."""
    if _ARTICLE_TOKEN.fullmatch(token) is not None:
        return ARTICLE_BODY
    if _POST_TOKEN.fullmatch(token) is not None:
        return ARTICLE
    if _MAIN_TOKEN.fullmatch(token) is not None:
        return MAIN
    # Utility classes (lg:toc-hidden, max-w-[20rem]) and ids made from a sentence aren't names.
    if ":" in token or "[" in token or len(token) > 48:
        return 0
    if token == "sidebar":
        return SIDEBAR
    words = _CAMEL.sub("-", token).lower().replace("_", "-").split("-")
    if len(words) > 4 or words[0] in _STATES:
        return 0
    return BOILERPLATE if token.lower() in _BOILERPLATE_TOKENS or not _BOILERPLATE_WORDS.isdisjoint(words) else 0
