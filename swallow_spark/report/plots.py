"""The report's plots, as SVG for an HTML page.

Colours are CSS variables of the page, so that plots follow its light or dark mode; the palette is Okabe and Ito's, for
all kinds of colour vision. Text stays text. The same values give the same bytes.
"""

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from swallow_spark.kernels.lsh import collision_probability
from swallow_spark.report.contents import Bounded, Dedup, GroupSize, Histogram, Ledger, Rule, Scores, Step

# Placeholders of the page's CSS variables while Matplotlib draws; no other colour may be used.
_INK: Final = "#010101"
_FAINT: Final = "#020202"
_MAIN: Final = "#030303"
_SECOND: Final = "#040404"
_THIRD: Final = "#050505"
_VARIABLES: Final = {_INK: "--ink", _FAINT: "--line", _MAIN: "--main", _SECOND: "--second", _THIRD: "--third"}

# Widths in inches that give text of equal size in full-width figures and in columns.
_WIDE: Final = 12.0
_COLUMN: Final = 5.8

_SETTINGS: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 6,
    "legend.frameon": False,
    "axes.formatter.useoffset": False,
}
_ID: Final = re.compile(r'<g id="[^"]*"')
_REFERENCE: Final = re.compile(r'(id="|url\(#|href="#)([A-Za-z0-9_]+)')


def _draw(name: str, label: str, size: tuple[float, float], paint: Callable[[Figure], None]) -> str:
    """An SVG element. `name` makes its ids unique in the page; `label` describes it."""
    with matplotlib.rc_context({**_SETTINGS, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure)
        sink = io.StringIO()
        figure.savefig(sink, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = sink.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style[^>]*>.*?</style>", "", svg, flags=re.DOTALL)  # would apply to the whole page
    svg = _ID.sub("<g", svg)
    svg = _REFERENCE.sub(rf"\g<1>{name}-\g<2>", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)  # the page's own font
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{label}">', svg, count=1
    )
    return svg.strip()


def short(number: float) -> str:
    """1234567 as 1.2 M."""
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= unit:
            scale = 1e3 if name == "k" else unit
            return f"{number / scale:.3g} {name}" if number / scale < 1000 else f"{number / scale:.0f} {name}"
    return f"{number:,.0f}"


def _counts(axis: Any) -> None:
    axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def _bars(axes: Axes, names: Sequence[str], widths: Sequence[float], labels: Sequence[str], colour: Any) -> None:
    """Horizontal bars from top to bottom, with a label after each."""
    places = range(len(names))
    axes.barh(places, widths, color=colour, height=0.68)
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    for place, width, label in zip(places, widths, labels, strict=True):
        axes.annotate(
            label, (width, place), xytext=(5, 0), textcoords="offset points", va="center", annotation_clip=False
        )


def funnel(steps: Sequence[Step]) -> str:
    """Documents and characters of the steps from the Japanese pages on, in percent of these."""
    shown = steps[1:]

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, title, values in (
            (left, "documents", [step.documents for step in shown]),
            (right, "characters", [step.characters for step in shown]),
        ):
            percents = [100 * (value or 0) / (values[0] or 1) for value in values]
            labels = [
                "not counted yet" if value is None else f"{short(value)} · {percent:.1f} %"
                for value, percent in zip(values, percents, strict=True)
            ]
            colours = [_SECOND if step.is_subset else _MAIN for step in shown]
            _bars(axes, [step.name for step in shown], percents, labels, colours)
            axes.set(title=title, xlim=(0, 140), xticks=range(0, 101, 25), xlabel="% of the pages")
        right.tick_params(labelleft=False)

    return _draw("funnel", "Documents and characters after each step", (_WIDE, 1.1 + 0.36 * len(shown)), paint)


def outcomes(ledger: Ledger) -> str:
    """Outcomes of the records read."""
    rows = [("pages", ledger.pages, _MAIN)]
    rows += [(reason.replace("_", " "), number, _SECOND) for reason, number in ledger.passed_over.items()]
    rows += [(f"failure: {reason.replace('_', ' ')}", number, _THIRD) for reason, number in ledger.failures.items()]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        labels = [f"{number:,} · {100 * number / max(1, ledger.records):.1f} %" for _, number, _ in rows]
        _bars(axes, [name for name, _, _ in rows], [number for _, number, _ in rows], labels, [c for _, _, c in rows])
        axes.set(xlabel="records", xlim=(0, 1.45 * max([1, *(number for _, number, _ in rows)])))
        _counts(axes.xaxis)

    return _draw("outcomes", "Records by outcome", (_COLUMN, 0.9 + 0.32 * len(rows)), paint)


def rules(found: Sequence[Rule], survivors: int) -> str:
    """Pages that each rule rejects; the dark part is those that no other rule rejects."""
    shown = sorted((rule for rule in found if rule.rejected), key=lambda rule: (-rule.rejected, rule.reason))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        labels = [f"{rule.rejected:,} · {100 * rule.rejected / max(1, survivors):.1f} %" for rule in shown]
        _bars(axes, [rule.reason for rule in shown], [rule.rejected for rule in shown], labels, _SECOND)
        axes.barh(range(len(shown)), [rule.alone for rule in shown], color=_MAIN, height=0.68)
        axes.set(xlabel="pages rejected", xlim=(0, 1.3 * max([1, *(rule.rejected for rule in shown)])))
        _counts(axes.xaxis)
        handles = [matplotlib.patches.Patch(color=colour) for colour in (_MAIN, _SECOND)]
        axes.legend(handles, ["by this rule alone", "by other rules too"], loc="lower right")

    return _draw("rules", "Pages rejected by each rule", (_WIDE, 1.1 + 0.34 * max(1, len(shown))), paint)


def group_sizes(sizes: Sequence[GroupSize]) -> str:
    """Groups of duplicates by size, with a logarithmic count."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        names = [f"{s.smallest:,}" if s.smallest == s.largest else f"{s.smallest:,}–{s.largest:,}" for s in sizes]
        axes.bar(names, [size.groups for size in sizes], color=_MAIN, width=0.75)
        for place, size in enumerate(sizes):
            axes.annotate(short(size.groups), (place, size.groups), (0, 3), textcoords="offset points", ha="center")
        axes.set(yscale="log", ylim=(0.7, 3 * max([1, *(s.groups for s in sizes)])), xlabel="pages in the group")
        axes.set_ylabel("groups (log scale)")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value) if value >= 1 else ""))
        axes.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        axes.grid(visible=False, axis="x")
        if len(sizes) > 6:
            axes.tick_params(axis="x", rotation=40)

    return _draw("sizes", "Groups of duplicates by size", (_COLUMN, 3.4), paint)


def _columns(axes: Axes, histogram: Histogram, colour: str) -> None:
    width = (histogram.high - histogram.low) / len(histogram.counts)
    starts = [histogram.low + width * number for number in range(len(histogram.counts))]
    axes.bar(starts, histogram.counts, width=width * 0.92, align="edge", color=colour)
    axes.set_xlim(histogram.low, histogram.high)
    axes.grid(visible=False, axis="x")


def similarities(dedup: Dedup) -> str:
    """Estimated similarity of duplicates to their witnesses, below the probability that such a pair shares a bucket."""

    def paint(figure: Figure) -> None:
        curve, axes = figure.subplots(2, 1, sharex=True, height_ratios=[1, 1.2])
        points = [number / 200 for number in range(201)]
        setting = {"bands": dedup.bands, "rows_per_band": dedup.rows_per_band}
        curve.plot(points, [collision_probability(point, **setting) for point in points], color=_SECOND, linewidth=2)
        half = (1 - 0.5 ** (1 / dedup.bands)) ** (1 / dedup.rows_per_band)
        curve.plot([half], [0.5], "o", color=_SECOND)
        curve.annotate(f"0.5 at {half:.2f}", (half, 0.5), (-8, 0), textcoords="offset points", ha="right", va="center")
        curve.set(ylim=(0, 1.03), ylabel="P(shared bucket)", yticks=(0, 0.5, 1))
        _columns(axes, dedup.similarities, _MAIN)
        axes.set(xlabel="Jaccard similarity (below: as estimated from the sketches)", ylabel="duplicates")
        _counts(axes.yaxis)

    return _draw("similarities", "Similarity of duplicates, and the probability of being found", (_COLUMN, 3.9), paint)


def scores(found: Scores) -> str:
    """A classifier's scores, with the cuts of its top-k bands."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        _columns(axes, found.histogram, _MAIN)
        styles = ("solid", "dashed", "dotted", "dashdot")
        for number, cut in enumerate(sorted(found.cuts, key=lambda cut: -cut.score)):
            style, label = styles[number % len(styles)], f"end of {cut.band}: {cut.score:.3f}"
            axes.axvline(cut.score, color=_SECOND, linewidth=1.8, linestyle=style, label=label)
        if found.cuts:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, handlelength=2.4)
        axes.set(xlabel="score", ylabel="pages")
        _counts(axes.yaxis)

    name, size = found.classifier, (_COLUMN, 3.0 + 0.1 * len(found.cuts))
    return _draw(f"scores-{name}", f"Scores of the classifier {name}", size, paint)


def labels(scores: Mapping[int, int]) -> str:
    """Texts by the score that an LLM gave them."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        total = max(1, sum(scores.values()))
        said = [f"{number:,} · {100 * number / total:.1f} %" for number in scores.values()]
        _bars(axes, [str(score) for score in scores], list(scores.values()), said, _MAIN)
        axes.set(xlabel="texts", ylabel="score", xlim=(0, 1.35 * max([1, *scores.values()])))
        _counts(axes.xaxis)

    return _draw("labels", "Texts by score", (_COLUMN, 0.9 + 0.42 * len(scores)), paint)


_FEATURE: Final = (300, 96)  # width and height of the bars, in pixels
_MARGIN: Final = (6, 18, 20)  # at the sides, above, below


def feature(found: Bounded) -> str:
    """A feature's values with its bounds. There are dozens of these: drawn without Matplotlib, in a hundredth of the
    time. Shares are on a linear scale, other values on a logarithmic one."""
    width, height = _FEATURE
    side, above, below = _MARGIN
    is_share = "_fraction" in found.name
    bars = found.bars
    ends = [bar.high for bar in bars if math.isfinite(bar.high)]
    low = 0.0 if is_share else math.log2(ends[0]) - 1
    high = ends[-1] if is_share else math.log2(ends[-1])
    if len(ends) < len(bars):  # the last bar has no end: it gets a width
        high += (high - low) / 40

    def x(value: float) -> float:
        place = (value if is_share else math.log2(value) if value > 0 else low) if math.isfinite(value) else high
        return side + width * min(1.0, max(0.0, (place - low) / (high - low)))

    most = max(1, *(bar.pages for bar in bars))
    drawn = {False: "", True: ""}
    for bar in bars:
        if bar.pages:
            tall = max(1.0, height * bar.pages / most)
            left, right = x(bar.low), x(bar.high)
            wide = max(0.6, (right - left) * 0.9)
            drawn[bar.rejected] += f"M{left:.1f} {above + height:.1f}v{-tall:.1f}h{wide:.1f}v{tall:.1f}z"
    colours = {False: "--main", True: "--second"}
    parts = [f'<path d="{path}" fill="var({colours[bad]})"/>' for bad, path in drawn.items() if path]
    floor = above + height
    parts.append(f'<path d="M{side} {floor}h{width}" stroke="var(--line)"/>')
    for edge, _ in found.bounds:
        parts.append(f'<path d="M{x(edge):.1f} {above - 4}V{floor}" stroke="var(--third)" stroke-width="1.5"/>')
        anchor = "end" if x(edge) > side + width / 2 else "start"
        parts.append(
            f'<text x="{x(edge):.1f}" y="11" text-anchor="{anchor}" font-size="11" fill="var(--ink)">{edge:g}</text>'
        )
    first = 0.0 if is_share else bars[0].low
    for value, place, anchor in ((first, side, "start"), (ends[-1], side + width, "end")):
        parts.append(
            f'<text x="{place}" y="{floor + 14}" text-anchor="{anchor}" font-size="11" fill="var(--soft)">'
            f"{short(value) if value >= 1000 else format(value, '.3g')}</text>"
        )
    box = f"0 0 {width + 2 * side} {height + above + below}"
    return f'<svg viewBox="{box}" role="img" aria-label="Values of {found.name}">{"".join(parts)}</svg>'
