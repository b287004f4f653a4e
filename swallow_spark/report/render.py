"""Renders a report's contents as one self-contained HTML page: no script, no font, nothing to load.

Strings from pages are hostile. The template engine escapes them; characters that would hide or reorder text are
replaced; only plain http and https URLs become links.
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
_LINK: Final = re.compile(r"https?://[!#-;=?-Z\[\]_a-z~%\u00a1-\U0010ffff]+", re.IGNORECASE)

PASSED_OVER: Final = {
    "not_a_response": "no HTTP response (requests, metadata, …)",
    "status": "HTTP status other than 200",
    "not_html": "not HTML",
    "no_sign_of_japanese": "no sign of Japanese in the page's bytes",
    "not_japanese": "main text not Japanese",
    "no_text": "no text",
}
"""Reasons for passing over a record, in words."""


def render(contents: Contents) -> str:
    """The report as HTML. The same contents give the same page."""
    return environment().get_template("report.html.j2").render(c=contents, passed_over_words=PASSED_OVER)


@cache
def environment() -> Environment:
    """The templates with their filters and plots."""
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


_PLOTS: Final = ("funnel", "outcomes", "rules", "group_sizes", "similarities", "scores", "labels", "feature")


def _as_markup(draw: Any) -> Any:
    """Plots are the only markup that isn't escaped: Matplotlib escapes the labels."""
    return lambda *values: Markup(draw(*values))


def clean(text: str | None, most: int = 200) -> str:
    """Text for display: whitespace collapsed, unsafe characters escaped, at most `most` characters."""
    # Cut first: a hostile title may be megabytes long.
    joined = printable(" ".join((text or "")[: 20 * most].split()))
    return joined if len(joined) <= most else f"{joined[: most - 1]}…"


def link(url: str | None) -> str | None:
    """The URL if it may become a link: http or https with a host, without blanks, controls or credentials."""
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
    """A share in percent; a small one is never shown as 0 %, and nearly all never as 100 %."""
    if value is None or not whole:
        return "–"
    share = 100 * value / whole
    if 0 < share < 0.1:
        return "< 0.1 %"
    if 99.9 < share < 100:
        return "> 99.9 %"
    return f"{share:.1f} %"


def place(doc_id: int) -> str:
    """The location of a page, from its doc_id."""
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
    """The formula of a score: P(1) + 2 × P(2)."""
    terms = {label.removeprefix("__label__"): weight for label, weight in weights.items() if weight}
    return " + ".join(f"{weight:g} × P({label})".removeprefix("1 × ") for label, weight in terms.items()) or "0"
