"""The main text of an HTML page, its title, and what it asks of robots.

The DOM is walked once, into blocks (the text of one paragraph, heading, list item, cell ...) and the elements that
hold them. Prose is found by sentence punctuation, full-width or ASCII, and by length with wide characters counted
double; links weigh against it (link density: Kohlschütter et al., "Boilerplate Detection using Shallow Text Features",
WSDM 2010). Then the main element is the innermost one that holds most of the prose. Names of classes and ids are
hints only, and are ignored where the element holds much of the page's prose.
"""

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

from selectolax.lexbor import LexborHTMLParser

from swallow_spark.kernels import charset

__all__ = ["VERSION", "Extracted", "extract"]

VERSION: Final = 1  # raise it where any page's text may change

MAX_DEPTH: Final = 5_000  # the parser's time grows with the square of the depth: 17 s at 100,000
_MIN_SENTENCE_WEIGHT: Final = 20  # of a block with sentence punctuation; in half-width characters
_MIN_LONG_WEIGHT: Final = 100  # of a block without
_MAX_LINK_DENSITY: Final = 0.5  # of a block of prose
_MAX_HINTED_FRACTION: Final = 0.35  # of the page's prose, in an element that its name says is no main text
_MAX_HIDDEN_FRACTION: Final = 0.6  # likewise, in an element that is hidden until a script shows it
_MIN_MAIN: Final = 0.4  # of the prose, in <main>
_MIN_ARTICLE: Final = 0.3  # of the prose in there, in the only <article>
_MIN_ARTICLE_BODY: Final = 0.15  # of the prose in there, in the only element named as the body of an article
_MIN_SEVERAL: Final = 0.6  # of the prose, where there are several: forum posts, a list of entries, but also teasers
_MIN_LINK_LIST_DENSITY: Final = 0.6  # of the characters of a list of links
_MAX_BOILERPLATE_LINE: Final = 200  # half-width characters of a line that is dropped for its words
_MIN_CHILD: Final = 0.9  # of the prose of its parent, in the element that is descended into

_SKIPPED: Final = frozenset(
    "script style noscript template svg math iframe object embed applet audio video canvas select textarea button input "
    "datalist map head title meta link rt rp rtc noframes frameset dialog progress meter img source area".split()
)
_BLOCKS: Final = frozenset(
    "address article aside blockquote body center dd details dir div dl dt fieldset figcaption figure footer form h1 h2 "
    "h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol optgroup p pre search section summary table tbody td "
    "tfoot th thead tr ul caption listing xmp plaintext".split()
)
_MAIN, _ARTICLE, _ARTICLE_BODY, _BOILERPLATE, _HIDDEN = 1, 2, 3, 4, 5
_TAG_HINTS: Final = {
    "main": _MAIN,
    "article": _ARTICLE,
    **dict.fromkeys(("nav", "footer", "aside", "header", "menu", "search"), _BOILERPLATE),
}
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_ITEMS: Final = frozenset({"li", "dd", "dt", "p", "td", "div"})
_CONTAINERS: Final = frozenset(
    "body div section article main td table tbody tr center form fieldset blockquote dl dd ul ol li details".split()
)
_PREFORMATTED: Final = frozenset({"pre", "listing", "xmp", "plaintext"})

# Words of class and id names: hints only.
_BOILERPLATE_WORDS: Final = frozenset(
    "nav navi navs navbar gnav gnavi lnav globalnav globalnavi navigation sidebar sidenav sidemenu sidebox sidecol sidearea "
    "breadcrumb breadcrumbs crumb crumbs topicpath pankuzu foot footer footers header menu menus submenu related relation "
    "relate recommend recommended recommends recommendation recommendations ranking share shares sharing sharer sns social "
    "tweet comments comment respond trackback trackbacks pager pagination paginate paging pagenavi tags taglist tagcloud "
    "advert advertisement ad ads adsense banner banners bnr bnrs sponsor sponsored promo popup modal cookie cookies login "
    "signin copyright copyrights prev next recent popular calendar newsletter subscribe subscription skip profile byline "
    "toolbar masthead navheader navfooter sphinxsidebar headerlink editsection catlinks printfooter toc rightbar leftbar "
    "pickup bookmark bookmarks socialbutton pagetop totop colophon".split()
)
_BOILERPLATE_TOKENS: Final = frozenset(
    "side sub widget right-column copy author archive archives search tag lang".split()
)
_STATES: Final = frozenset("has no with without is not js wp-singular".split())
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
_SPACE: Final = re.compile(r"[ \t\n\r\f\v\xa0\u2000-\u200b\u2028\u2029\u202f\u205f\ufeff]+")
# A line break in the source between two wide characters is no space (CSS Text 3, section 4.1.3).
_WIDE: Final = r"[\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff9f]"
_WIDE_BREAK: Final = re.compile(rf"(?<={_WIDE})[ \t]*[\r\n]\s*(?={_WIDE})")
_BOILERPLATE_LINE: Final = re.compile(
    r"©|\(c\)|copyright\b|all rights reserved|無断(?:転載|複製|使用)|(?:この記事は|続きは)会員限定|この記事をシェア"
    r"|関連(?:記事|リンク|キーワード|ニュース)[:：]?$|(?:ツイート|シェア|いいね|ブックマーク|はてブ|LINEで送る|Tweet|Share|Pocket|PR|広告)!?$"
    r"|印刷(?:する)?$|(?:この)?(?:ページの?)?(?:先頭|トップ|TOP)(?:へ|に戻る|へ戻る)$|(?:続きを読む|もっと見る|一覧(?:へ|を見る|に戻る)?)$",
    re.IGNORECASE,
)
_RELATED: Final = re.compile(
    r"関連|おすすめ|オススメ|お薦め|人気|ランキング|最新|新着|最近の|カテゴリ|アーカイブ|タグ|合わせて読|あわせて読|よく読まれ|バックナンバー"
    r"|\b(?:related|recommended|popular|recent|latest|categories|archives|tags|more from|you may|see also)\b",
    re.IGNORECASE,
)
# Marks in a block while it is gathered: a line break, and space that is kept.
_BREAK: Final = "\x00"
_KEEP: Final = str.maketrans(" \t\n", "\x01\x02\x00")
_KEPT: Final = str.maketrans("\x01\x02\x00", " \t\n")
_UNWANTED: Final = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0x7F, *range(0xD800, 0xE000)])


class Extracted(NamedTuple):
    """A page's title and main text, the charset it was in, U+FFFD put in for unreadable bytes, and its meta robots.

    `text` has one line a block and no blank line; "" where the page shows no text. `robots` is in lower case, and None
    where the page says nothing.
    """

    title: str
    text: str
    charset: str
    num_replaced: int
    robots: str | None


@lru_cache(maxsize=1 << 14)
def _hint(token: str) -> int:
    """What the name of a class or an id hints at: a `_LEVEL...`, _BOILERPLATE or 0."""
    if _ARTICLE_TOKEN.fullmatch(token) is not None:
        return _ARTICLE_BODY
    if _MAIN_TOKEN.fullmatch(token) is not None:
        return _MAIN
    # Utility classes (lg:toc-hidden, max-w-[20rem]) and ids made of a sentence aren't names.
    if ":" in token or "[" in token or len(token) > 48:
        return 0
    words = _CAMEL.sub("-", token).lower().replace("_", "-").split("-")
    if len(words) > 4 or words[0] in _STATES:
        return 0
    return _BOILERPLATE if token.lower() in _BOILERPLATE_TOKENS or not _BOILERPLATE_WORDS.isdisjoint(words) else 0


class _Element:
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


class _Block(NamedTuple):
    element: int
    text: str
    weight: int
    linked: int
    prose: int


def extract(html: bytes, content_type: str | None = None) -> Extracted:
    """The title and the main text of a page; `content_type` is the value of the HTTP header.

    Any bytes will do. The text can always be encoded as UTF-8.
    """
    decoded = charset.decode(html, content_type)
    source = decoded.text.translate(_UNWANTED) if "\x00" in decoded.text else decoded.text
    tree = LexborHTMLParser(_flattened(source))
    root = tree.root
    title, robots = _metadata(tree)
    text = ""
    if root is not None:
        for everything in (False, True):
            elements, blocks = _walk(root, everything)
            text = "\n".join(_main_blocks(elements, blocks, everything))
            if text:
                break
    return Extracted(title, text, decoded.charset, decoded.num_replaced, robots)


def _flattened(source: str) -> str:
    """The page without its inline and generic tags where these may nest deeper than MAX_DEPTH."""
    if source.count("<") - 2 * source.count("</") < MAX_DEPTH:
        return source
    depth = deepest = 0
    for slash, name in re.findall(r"<(/?)([a-zA-Z]+)", source):
        if name.lower() not in _UNNESTED:
            depth += -1 if slash else 1
            deepest = max(deepest, depth)
    if deepest < MAX_DEPTH:
        return source
    return re.sub(r"</?(?!(?:p|br|script|style|title|li|h[1-6]|td|th|tr)\b)[a-zA-Z][^>]*>", "\n", source)


_UNNESTED: Final = frozenset(
    "area base br col embed hr img input link meta param source track wbr p li dt dd td th tr option".split()
)


def _metadata(tree: Any) -> tuple[str, str | None]:
    """(title, content of meta robots). The title is <title>'s; where that is empty og:title, then the first <h1>."""
    title, og_title, robots = "", "", None
    node = tree.css_first("title")
    if node is not None:
        title = _line(node.text())
    for meta in tree.css("meta[content]"):
        attributes = meta.attributes
        name = (attributes.get("name") or attributes.get("property") or "").lower()
        if name == "robots" and robots is None:
            robots = _line(attributes["content"] or "").lower()
        elif name == "og:title" and not og_title:
            og_title = _line(attributes["content"] or "")
    if not (title or og_title) and (node := tree.css_first("h1")) is not None:
        og_title = _line(node.text())
    return title or og_title, robots


def _line(text: str) -> str:
    return _SPACE.sub(" ", text).translate(_UNWANTED).strip()


def _walk(root: Any, everything: bool) -> tuple[list[_Element], list[_Block]]:
    """The page's block-level elements in document order, and its blocks. Iterative: pages nest without end."""
    elements = [_Element(-1, "html", 0)]
    blocks: list[_Block] = []
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
            if text:
                if pre_depth:
                    parts.append(text.translate(_KEEP))
                else:
                    parts.append(text)
                if link_depth:
                    linked += _weight(text.strip())
        elif tag == "br":
            parts.append(_BREAK)
        elif tag in _BLOCKS:
            attributes = node.attributes
            if True:
                if parts:
                    _flush(elements, blocks, parts, linked, current)
                    linked = 0
                hint = _TAG_HINTS.get(tag, 0)
                if attributes:
                    hint = _attribute_hint(attributes, hint)
                elements.append(_Element(current, tag, hint))
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
                        _flush(elements, blocks, parts, linked, current)
                        linked = 0
                    pre_depth -= tag in _PREFORMATTED
                    current = elements[current].parent
            following = node.next if stack else None
            if following is not None:
                node = following
                break
            if not stack:
                _flush(elements, blocks, parts, linked, current)
                return elements, blocks
            node, tag = stack.pop()
            closing = True


def _attribute_hint(attributes: dict[str, str | None], hint: int) -> int:
    """The hint of an element's attributes, or `hint` of its tag."""
    style = attributes.get("style")
    if "hidden" in attributes or (style is not None and _HIDDEN_STYLE.search(style) is not None):
        return _HIDDEN
    if attributes.get("itemprop") == "articleBody":
        return _ARTICLE_BODY
    role = attributes.get("role")
    if role == "main":
        return _MAIN
    if role == "navigation" or role == "banner" or role == "contentinfo" or role == "complementary":
        return _BOILERPLATE
    if hint:
        return hint
    for name in (attributes.get("id"), attributes.get("class")):
        if name:
            for token in name.split():
                if token_hint := _hint(token):
                    if token_hint != _BOILERPLATE:
                        return token_hint
                    hint = _BOILERPLATE
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


def _flush(elements: list[_Element], blocks: list[_Block], parts: list[str], linked: int, current: int) -> None:
    """Ends the block in `parts`, counts it in its element, and empties `parts`."""
    text = "".join(parts)
    parts.clear()
    if "\n" in text and not text.isascii():
        text = _WIDE_BREAK.sub("", text)
    text = _SPACE.sub(" ", text)
    if _BREAK in text or "\x01" in text or "\x02" in text:
        text = "\n".join(
            line for raw in text.split(_BREAK) if (line := raw.translate(_KEPT).rstrip()) and not line.isspace()
        )
    text = text.strip(" \n")
    if not text:
        return
    weight = _weight(text)
    linked = min(linked, weight)
    is_prose = linked <= _MAX_LINK_DENSITY * weight and (
        weight >= _MIN_LONG_WEIGHT or (weight >= _MIN_SENTENCE_WEIGHT and _SENTENCE_END.search(text) is not None)
    )
    blocks.append(_Block(current, text, weight, linked, weight - linked if is_prose else 0))


def _main_blocks(elements: list[_Element], blocks: list[_Block], everything: bool) -> list[str]:
    """The texts of the blocks that are main text, in document order."""
    if everything:
        return [block.text for block in blocks]
    _sum_up(elements, blocks)
    total = elements[0].prose
    # Elements that their name says are no main text, unless they hold much of the page's prose.
    for element in elements[1:]:
        element.dropped = elements[element.parent].dropped or (
            (element.hint == _BOILERPLATE and element.prose <= _MAX_HINTED_FRACTION * total)
            or (element.hint == _HIDDEN and element.prose <= _MAX_HIDDEN_FRACTION * total)
        )
    kept = [block for block in blocks if not elements[block.element].dropped]
    if not kept:
        return [block.text for block in blocks]
    _sum_up(elements, kept)
    inside = _inside_main(elements)
    texts = _without_link_lists(elements, [block for block in kept if inside[block.element]])
    return texts or [block.text for block in kept]


def _sum_up(elements: list[_Element], blocks: list[_Block]) -> None:
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
        parent = elements[element.parent]
        parent.weight += element.weight
        parent.linked += element.linked
        parent.prose += element.prose
        parent.num_blocks += element.num_blocks


def _inside_main(elements: list[_Element]) -> list[bool]:
    """For each element, whether it is main text: below the elements that are named so, and there in the innermost one
    that holds most of the prose."""
    inside = [True] * len(elements)
    prose = elements[0].prose
    mains = [0]
    for hint, fraction in ((_MAIN, _MIN_MAIN), (_ARTICLE, _MIN_ARTICLE), (_ARTICLE_BODY, _MIN_ARTICLE_BODY)):
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
        if found > (fraction if len(named) == 1 else _MIN_SEVERAL) * prose:
            inside, mains, prose = below, named, found
    if len(mains) == 1:
        inside = _below(elements, _innermost(elements, mains[0]))
    return inside


def _innermost(elements: list[_Element], main: int) -> int:
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


def _below(elements: list[_Element], ancestor: int) -> list[bool]:
    below = [False] * len(elements)
    below[ancestor] = True
    for index in range(ancestor + 1, len(elements)):
        below[index] = below[elements[index].parent]
    return below


def _without_link_lists(elements: list[_Element], blocks: list[_Block]) -> list[str]:
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
        if block.weight < _MAX_BOILERPLATE_LINE and _BOILERPLATE_LINE.match(block.text) is not None:
            continue
        if element.tag in _HEADINGS:
            headings.append(block.text)
            continue
        prose_seen |= block.prose > 0
        if block.linked > _MAX_LINK_DENSITY * block.weight:
            links = elements[element.parent] if element.tag in _ITEMS and element.parent >= 0 else element
            if (
                links.num_blocks > 1
                and links.linked > _MIN_LINK_LIST_DENSITY * links.weight
                and not _is_in_article_body(elements, block.element)
                and (not prose_seen or links.weight > prose or (headings and _RELATED.search(headings[-1]) is not None))
            ):
                continue
        texts += headings
        headings.clear()
        texts.append(block.text)
    return texts


def _is_in_article_body(elements: list[_Element], index: int) -> bool:
    while index > 0:
        if elements[index].hint == _ARTICLE_BODY:
            return True
        index = elements[index].parent
    return False
