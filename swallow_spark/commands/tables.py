"""Everything that commands print for people."""

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swallow_spark.errors import printable

if TYPE_CHECKING:
    from swallow_spark.config.decide import Bound
    from swallow_spark.corpus.corpus import Corpus
    from swallow_spark.report.change import Change

_NUMBER: Final = re.compile(r"[+-]?\d")
_EXCERPT_CHARS: Final = 60


def print_json(values: dict[str, Any]) -> None:
    typer.echo(json.dumps(values, ensure_ascii=False))


def print_result(values: dict[str, Any], as_json: bool, show: Callable[..., None], *more: Any) -> None:
    """Prints the result of a command on standard output: as JSON, or for people by `show(console, values, *more)`."""
    if as_json:
        print_json(values)
    else:
        show(Console(file=sys.stdout, highlight=False), values, *more)


def print_table(
    console: Console, headings: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None
) -> None:
    """Prints a table. On a narrow console text is folded, and numbers stay whole.

    Columns whose cells all begin with a digit or sign are numeric and aligned to the right. An int gets commas, a float
    six significant digits; None is an empty cell.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    table = Table(box=box.SIMPLE_HEAD, title=Text(title) if title else None, title_justify="left", pad_edge=False)
    table.show_header = any(headings)
    for heading, *column in zip(headings, *cells, strict=True):
        filled = [cell for cell in column if cell]
        if filled and all(_NUMBER.match(cell) for cell in filled):
            table.add_column(Text(heading), justify="right", no_wrap=True, min_width=max(map(len, (heading, *filled))))
        else:
            table.add_column(Text(heading), overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table, crop=False)


def print_line(console: Console, text: str) -> None:
    """Prints a line without wrapping it."""
    console.print(printable(text), markup=False, soft_wrap=True)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return printable(f"{value:.6g}" if isinstance(value, float) else str(value)).replace("\n", " ")


def show_values(console: Console, values: Mapping[str, Any]) -> None:
    """A result as `name: value`; dictionaries are indented."""
    for name, value in values.items():
        print_line(console, f"{name}:" if isinstance(value, dict) else f"{name}: {_plain(value)}")
        for key, entry in value.items() if isinstance(value, dict) else ():
            print_line(console, f"  {key}: {_plain(entry)}")


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "yes", False: "no"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# ---- runs


def show_summary(console: Console, summary: Mapping[str, Any], corpus: "Corpus") -> None:
    """The funnel so far, the ledger's sum, and the locations of the results."""
    pages = summary["pages"]
    rows = [
        (name, documents, f"{documents / pages:.1%}" if pages and name != "records read" else "", characters)
        for name, documents, characters in _funnel(summary)
    ]
    print_table(console, ("", "documents", "of pages", "characters"), rows, "From records to subsets")
    print_line(console, _ledger(summary))
    if summary["file_failures"]:
        print_line(console, f"Damage outside of records: {_listed(summary['file_failures'])}")
    if "files_not_read" in summary:
        files = (f"{path} ({reason})" for path, reason in summary["files_not_read"].items())
        _warn(console, f"files that are not read: {', '.join(files)}; the same command tries them again")
    if "bytes_fetched" in summary:
        fetched, of_files = summary["bytes_fetched"], summary["bytes_of_files_fetched_from"]
        print_line(console, f"Fetched by index: {fetched:,} of the files' {of_files:,} bytes")
    if summary.get("rejected"):
        print_line(console, f"Rejected by the rules: {_listed(summary['rejected'])}")
    for warning in summary.get("warnings", ()):
        _warn(console, warning)
    _show_places(console, summary, corpus)


def _warn(console: Console, text: str) -> None:
    console.print(Text(printable(f"Warning: {text}"), style="bold red"), soft_wrap=True)


def _funnel(summary: Mapping[str, Any]) -> list[tuple[str, int, int | None]]:
    rows = [
        ("records read", summary["records"], None),
        ("pages", summary["pages"], summary["pages_characters"]),
    ]
    if "survivors" in summary:
        rows.append(("after dedup", summary["survivors"], summary.get("survivors_characters")))
    if "accepted" in summary:
        rows.append((f"after the rules ({summary['preset']})", summary["accepted"], summary["accepted_characters"]))
    for name, subset in summary.get("subsets", {}).items():
        rows.append((f"subset {name}", subset["documents"], subset["characters"]))
    return rows


def _ledger(summary: Mapping[str, Any]) -> str:
    passed_over, failures = sum(summary["passed_over"].values()), sum(summary["failures"].values())
    text = f"{summary['records']:,} records = {summary['pages']:,} pages"
    text += f" + {passed_over:,} passed over" + (f" ({_listed(summary['passed_over'])})" if passed_over else "")
    return text + f" + {failures:,} failures" + (f" ({_listed(summary['failures'])})" if failures else "")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {number:,}" for reason, number in counts.items())


def _show_places(console: Console, summary: Mapping[str, Any], corpus: "Corpus") -> None:
    def place(relative: str) -> str:
        return str(corpus.root.local_path(relative)) if corpus.root.is_local else corpus.root.spark_path(relative)

    console.print()
    if summary.get("subsets"):
        print_line(console, f"Subsets   {place('subsets')}")
    if corpus.root.exists("report/index.html"):
        print_line(console, f"Report    {place('report/index.html')}")
    print_line(console, f"Tables    {place('')}")


def show_text_out(console: "Console", summary: Mapping[str, Any], corpus: "Corpus") -> None:
    """The command that gives text, if there are no subsets."""
    made = next((name for name in ("accepted", "survivors") if name in summary), None)
    if made and not summary.get("subsets"):
        export = ("export", "--corpus", corpus.root.location, "--subset", made, "--output", "OUT")
        print_line(console, f"Text out  {shlex.join(('swallow-spark', *export))}")


def show_change(console: Console, change: "Change") -> None:
    """What new crawls have changed."""
    rows = [(name, before, now, f"{now - before:+,}") for name, (before, now) in change.documents.items()]
    title = f"Since {change.finished}: {', '.join(change.new_crawls)}"
    print_table(console, ("", "before", "now", "change"), rows, title)


def show_check(console: Console, result: Mapping[str, Any]) -> None:
    """The findings of `check`, and what to do."""
    for damage in result["damaged"]:
        print_line(console, f"damaged: {damage['path']}: {damage['problem']} ({damage['stage']} {damage['unit']})")
    for path in result["unlisted"] if not result["held_by"] else ():
        print_line(console, f"left over: {path}: in no manifest; the next run deletes it")
    for crawl, number in result.get("files_pending", {}).items():
        print_line(console, f"pending: {number:,} input files of crawl {crawl} are not ingested yet")
    for entry in result["not_done"]:
        print_line(console, f"{entry['state']}: {entry['stage']}")
    if result["held_by"]:
        print_line(console, f"a run is in progress: {result['held_by']}")
    if result["damaged"] or result["not_done"]:
        print_line(console, "run `swallow-spark build` with the same inputs: it redoes these and what depends on them")
    elif not result["unlisted"] or result["held_by"]:
        print_line(console, "all stages are done, and all files are intact")


# ---- rules


def show_trial(console: Console, trial: Mapping[str, Any], bounds: Mapping[str, "Bound"]) -> None:
    """Features and verdict of one text, features with a bound first."""
    rows = []
    others = (name for name, value in trial["features"].items() if name not in bounds and value is not None)
    for feature in [*bounds, *others]:
        value, bound = trial["features"][feature], bounds.get(feature)
        limits = ", ".join(f"{k} {v:g}" for k, v in (bound or {}) if k != "source" and v is not None)
        reasons = bound.reasons(feature, value) if bound else []
        # Without the feature's name, which is in the row already: so the table fits into 80 columns.
        said = "null" if value is None else " ".join(reason.rpartition(":")[2] for reason in reasons)
        rows.append((feature, None if value is None else _plain(value), limits, said))
    print_table(console, ("feature", "value", "bounds", "reason"), rows)
    verdict = "accepted" if trial["accepted"] else f"rejected: {', '.join(trial['reasons'])}"
    print_line(console, f"{trial['preset']}: {verdict}")


def show_comparison(console: Console, comparison: Mapping[str, Any]) -> None:
    """Two presets on one corpus."""
    print_line(console, f"\nOf {comparison['pages']:,} pages that dedup keeps:")
    for name, pages in comparison["accepted"].items():
        print_line(console, f"  accepted by {name}: {pages:,}".replace("by neither", "by neither preset"))
    for title, rows in (
        ("Pages by reason", comparison["reasons"]),
        ("Reasons that coincide", comparison["overlap"]),
    ):
        if rows:
            print_table(console, list(rows[0]), [list(row.values()) for row in rows], title)
    print_line(console, "Pages just below and above each bound:")
    for bound in comparison["bounds"]:
        print_line(console, f"  rejected if {bound['rejected_if']}")
        for page in (bound["below"], bound["above"]):
            if page:
                shown = (page["value"], str(page["doc_id"]), page["url"], page["text"][:_EXCERPT_CHARS])
                print_line(console, "    " + "  ".join(map(_cell, shown)))


def show_compared(console: Console, compared: Mapping[str, Any]) -> None:
    """Two sets of pages."""
    print_line(console, f"\nA  {compared['a']}\nB  {compared['b']}\nA page is the same by its {compared['same_page']}.")
    names = {"a": "A", "b": "B", "both": "in both", "only_a": "only in A", "only_b": "only in B"}
    rows = [
        (said, compared[f"{name}_pages" if name in ("a", "b") else name], compared["characters"][name])
        for name, said in names.items()
    ]
    print_table(console, ("", "pages", "characters"), rows)
    if compared["jaccard"] is not None:
        print_line(console, f"Of all different pages {compared['jaccard']:.1%} are in both.")
    for name, pages in compared["samples"].items():
        if pages:
            print_line(console, f"Some that are {names[name]}:")
        for page in pages:
            shown = (str(page["doc_id"]), page["url"], " ".join(page["text"].split())[:_EXCERPT_CHARS])
            print_line(console, "  " + "  ".join(map(_cell, shown)))


# ---- selection and export


def show_bands(console: Console, bands: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """The top-k bands of each ranking, by given thresholds."""
    rows = [
        (ranking, band, v["score"], v["documents"], f"{v['documents'] / v['of']:.2%}" if v["of"] else "")
        for ranking, of in bands.items()
        for band, v in of.items()
    ]
    headings = ("ranking", "band", "from score", "documents", "of the accepted")
    print_table(console, headings, rows, "By given thresholds")


def show_export(console: Console, export: Mapping[str, Any], tokenizer: str | None) -> None:
    """What was exported, and where."""
    for name, of in export["subsets"].items():
        tokens = f", {of['tokens']:,} tokens ({tokenizer})" if "tokens" in of else ""
        shards = "1 shard" if of["shards"] == 1 else f"{of['shards']:,} shards"
        said = f"{of['documents']:,} documents, {of['characters']:,} characters{tokens}, {shards}"
        print_line(console, f"{name}: {said}")
    print_line(console, f"Shards, manifest.json and README.md, a data card: {export['output']}")


def show_mixture(console: Console, mixture: Mapping[str, Any]) -> None:
    """The sources of a mixture, with their tokens and epochs."""
    target, proxy = mixture["target_tokens"], mixture["proxy_tokens"]
    headings = ["", "tokens", "share", f"of {_billions(target)}", "epochs"]
    headings += [f"sample for {_billions(proxy)}"] if proxy else []
    rows = []
    for one in mixture["sources"]:
        name = f"{one['name']}{' (external)' if one['external'] else ''}"
        numbers = (_billions(one["tokens"]), f"{one['share']:.2%}", _billions(one["target_tokens"]))
        rows.append((name, *numbers, f"{one['epochs']:.2f}", *([_billions(one["sample_tokens"])] if proxy else [])))
    print_table(console, headings, rows, "Mixture")
    for warning in mixture["warnings"]:
        print_line(console, f"Warning: {warning}")


def _billions(tokens: int | Fraction) -> str:
    return f"{float(tokens) / 1e9:,.2f} B" if tokens >= 10**7 else f"{round(tokens):,}"


# ---- classifiers and labels

_MEASURES: Final = {  # with the names of Swallow Corpus v2's Table 1
    "documents": "documents",
    "accuracy": "accuracy of the most probable class (Acc)",
    "accuracy_4": "the same, of four classes (4-Acc)",
    "rmse": "root mean square error of the expected value (RMSE)",
    "mae": "mean absolute error of the expected value (MAE)",
    "accuracy_2": "accuracy of expected value >= 1.5 (2-Acc)",
    "accuracy_first_100_chars": "accuracy on the first 100 characters",
    "accuracy_first_200_chars": "accuracy on the first 200 characters",
}


def show_trained(console: Console, trained: Mapping[str, Any]) -> None:
    """What `train` made, and its measures on the held-out examples."""
    show_values(console, {name: value for name, value in trained.items() if name not in ("metrics", "cards")})
    show_measures(console, trained["metrics"])
    print_line(console, f"Model card: {' and '.join(trained['cards'])}")


def show_measures(console: Console, found: Mapping[str, Any]) -> None:
    """The measures of `evaluate`."""
    values = {
        name: found[key] if key == "documents" else f"{found[key]:.4f}"
        for key, name in _MEASURES.items()
        if key in found
    }
    print_table(console, ("", ""), list(values.items()))
    labels = [label.removeprefix("__label__") for label in found["labels"]]
    confusion = [(label, *row) for label, row in zip(labels, found["confusion"], strict=True)]
    print_table(console, ("true class", *labels), confusion, "Predicted class")
    bins = [
        (f"{b['low']:.1f} to {b['high']:.1f}", b["documents"], f"{b['confidence']:.3f}", f"{b['accuracy']:.3f}")
        for b in found["calibration"]["bins"]
    ]
    title = f"Calibration: expected error {found['calibration']['expected_error']:.4f}"
    print_table(console, ("probability", "documents", "mean", "accuracy"), bins, title)


def show_labels(console: Console, summary: Mapping[str, Any]) -> None:
    """The distribution of the labels, as in Swallow Corpus v2's Table 5."""
    rows = [(score, of["documents"], f"{of['fraction']:.1%}") for score, of in summary["scores"].items()]
    others = [(name, summary[name], "") for name in ("refused", "unparsable", "failed", "remaining")]
    title = f"{summary['model']}, prompt {summary['prompt']}"
    print_table(console, ("score", "documents", "of the scored"), [*rows, *others], title)
    output = summary["output"]
    said = f"{summary['labelled']:,} labels in {output}, shown in {output}.html; "
    said += f"{summary['requests']:,} requests, {summary['tokens']:,} tokens"
    if summary["stopped"]:
        said += f"; stopped at label.{summary['stopped']}: run the same command again to continue"
    print_line(console, said)


def show_sample(console: Console, sample: Mapping[str, Any]) -> None:
    print_line(console, f"{sample['pages']:,} pages in {sample['output']}")


# ---- capacity

_NEEDED: Final = {
    "pages": "text and metadata (table pages)",
    "sketches": "sketches",
    "features": "features of the rules",
    "duplicates_and_groups": "duplicates and groups",
    "between_passes": "between passes of dedup (temporary)",
    "exchanged": "shuffled by dedup in total",
    "exchanged_at_once": "of these on the executors' disks at a time",
    "lookups": "memory-mapped doc_ids, at most",
}


def show_capacity(console: Console, found: Mapping[str, Any]) -> None:
    """The estimated needs of a corpus."""
    print_line(
        console,
        f"{found['bands']} bands of {found['rows_per_band']} values over shingles of {found['shingle_chars']} "
        "characters. The probability that two pages of Jaccard similarity J share a bucket:",
    )
    curve = [
        (j, f"{probability:.4f}", "█" * round(40 * probability)) for j, probability in found["probability"].items()
    ]
    print_table(console, ("J", "probability", ""), curve)
    print_line(console, f"{found['pages']:,} pages of {found['chars_per_page']:,.0f} characters need:")
    needed = [
        (_NEEDED[name], size(value), f"{value / found['pages']:,.0f} B") for name, value in found["bytes"].items()
    ]
    print_table(console, ("", "total", "per page"), needed)
    worker, heap = (found["memory_per_core"][name] for name in ("python_worker", "jvm_heap"))
    print_line(
        console,
        f"Memory of dedup per core, for any number of pages: a Python worker of up to {size(worker)}, and "
        f"{size(heap)} of JVM heap. docs/scaling.md describes the measurements.",
    )


def size(number: float) -> str:
    """A number of bytes with three digits and a unit."""
    for unit, name in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:,.0f} B"
