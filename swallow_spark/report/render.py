"""From a report's contents to one HTML page that needs nothing else: no script, no font, no address.

What comes from pages is hostile. All of it is escaped by the template engine; characters that would hide or reorder
text are replaced; only addresses that are plainly http or https become links.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from swallow_spark.errors import printable
from swallow_spark.report import plots
from swallow_spark.report.contents import Contents
from swallow_spark.tables import unpack_doc_id

_LONGEST_URL: Final = 2000
# Explicit directional marks, embeddings, overrides and isolates: they would reorder what stands around them.
_LINK: Final = re.compile(r"https?://[!#-;=?-Z\[\]_a-z~%\u00a1-\U0010ffff]+", re.IGNORECASE)

PASSED_OVER: Final = {
    "not_a_response": "no HTTP response (requests, metadata, …)",
    "status": "HTTP status other than 200",
    "not_html": "not HTML",
    "no_sign_of_japanese": "no sign of Japanese in the page's bytes",
    "not_japanese": "main text not Japanese",
    "no_text": "no text",
}
"""What the reasons of kernels/page.py mean, in words."""


def render(contents: Contents) -> str:
    """The report as HTML. The same contents give the same page."""
    return environment().get_template("report.html.j2").render(c=contents, passed_over_words=PASSED_OVER)


@cache
def environment() -> Environment:
    """The templates, with the filters and plots that they use."""
    made = Environment(
        loader=PackageLoader("swallow_spark.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for one in (clean, duration, formula, link, number, percent, place, pretty, plots.short):
        made.filters[one.__name__] = one
    made.globals["plot"] = {name: _as_markup(getattr(plots, name)) for name in _PLOTS}
    return made


_PLOTS: Final = ("funnel", "outcomes", "rules", "group_sizes", "similarities", "scores", "labels")


def _as_markup(draw: Any) -> Any:
    """Plots are the only markup that isn't escaped: matplotlib writes it, and escapes the labels itself."""
    return lambda *values: Markup(draw(*values))


def clean(text: str | None, most: int = 200) -> str:
    """Text that can be shown: blanks joined, what could act on the page escaped, at most so many characters."""
    # Far more than `most` is cut off first: a hostile title may be megabytes long.
    joined = printable(" ".join((text or "")[: 20 * most].split()))
    return joined if len(joined) <= most else f"{joined[: most - 1]}…"


def link(url: str | None) -> str | None:
    """The URL where it may become a link: http or https with a host, without blanks, controls or credentials."""
    if not url or len(url) > _LONGEST_URL or not _LINK.fullmatch(url):
        return None
    if url.split() != [url] or printable(url) != url:
        return None
    try:
        parts = urlsplit(url)
        return url if parts.hostname and "@" not in parts.netloc else None
    except ValueError:
        return None


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


def percent(value: int | None, whole: int | None) -> str:
    """A share in percent, so that a small one never looks like none, nor nearly all like all."""
    if value is None or not whole:
        return "–"
    share = 100 * value / whole
    if 0 < share < 0.1:
        return "< 0.1 %"
    if 99.9 < share < 100:
        return "> 99.9 %"
    return f"{share:.1f} %"


def place(doc_id: int) -> str:
    """Where a doc_id says that the page lies."""
    crawl_no, file_no, offset = unpack_doc_id(doc_id)
    return f"crawl {crawl_no}, file {file_no}, offset {offset:,}"


def pretty(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=False, default=str)


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def formula(weights: Mapping[str, float]) -> str:
    """How a score comes from the probabilities of the labels: P(1) + 2 × P(2)."""
    terms = {label.removeprefix("__label__"): weight for label, weight in weights.items() if weight}
    return " + ".join(f"{weight:g} × P({label})".removeprefix("1 × ") for label, weight in terms.items()) or "0"
