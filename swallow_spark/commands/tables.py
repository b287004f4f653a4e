"""Tables for people: the funnel of a run, in plain words."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from swallow_spark.corpus.corpus import Corpus
from swallow_spark.errors import printable
from swallow_spark.report.change import Change


def show_summary(summary: dict[str, Any], corpus: Corpus, console: Console) -> None:
    """Prints the funnel as far as it goes, the ledger's sum, and where everything is."""
    table = Table(box=box.SIMPLE_HEAD, title="From records to subsets", title_justify="left", pad_edge=False)
    table.add_column("")
    for heading in ("documents", "of pages", "characters"):
        table.add_column(heading, justify="right")
    pages = summary["pages"]
    for name, documents, characters in _funnel(summary):
        share = f"{documents / pages:.1%}" if pages and name != "records read" else ""
        table.add_row(name, f"{documents:,}", share, f"{characters:,}" if characters is not None else "")
    console.print(table)
    console.print(_ledger(summary), markup=False, soft_wrap=True)
    if summary["file_failures"]:
        console.print(f"Damage outside of records: {_listed(summary['file_failures'])}", markup=False, soft_wrap=True)
    if "bytes_fetched" in summary:
        fetched, of_files = summary["bytes_fetched"], summary["bytes_of_files_fetched_from"]
        console.print(f"Fetched by the index: {fetched:,} of {of_files:,} bytes of the files", soft_wrap=True)
    if summary.get("rejected"):
        console.print(f"Rejected by the rules: {_listed(summary['rejected'])}", markup=False, soft_wrap=True)
    _show_places(summary, corpus, console)


def _funnel(summary: dict[str, Any]) -> list[tuple[str, int, int | None]]:
    rows = [
        ("records read", summary["records"], None),
        ("Japanese pages", summary["pages"], summary["pages_characters"]),
    ]
    if "survivors" in summary:
        rows.append(("after dedup", summary["survivors"], summary.get("survivors_characters")))
    if "accepted" in summary:
        rows.append((f"after the rules ({summary['preset']})", summary["accepted"], summary["accepted_characters"]))
    for name, subset in summary.get("subsets", {}).items():
        rows.append((f"subset {name}", subset["documents"], subset["characters"]))
    return rows


def _ledger(summary: dict[str, Any]) -> str:
    passed_over, failures = sum(summary["passed_over"].values()), sum(summary["failures"].values())
    text = f"{summary['records']:,} records = {summary['pages']:,} pages"
    text += f" + {passed_over:,} passed over" + (f" ({_listed(summary['passed_over'])})" if passed_over else "")
    return text + f" + {failures:,} failures" + (f" ({_listed(summary['failures'])})" if failures else "")


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{reason} {number:,}" for reason, number in counts.items())


def _show_places(summary: dict[str, Any], corpus: Corpus, console: Console) -> None:
    def place(relative: str) -> str:
        return str(corpus.root.local_path(relative)) if corpus.root.is_local else corpus.root.spark_path(relative)

    console.print()
    if summary.get("subsets"):
        console.print(f"Subsets   {place('subsets')}", markup=False, soft_wrap=True)
    if corpus.root.exists("report/index.html"):
        console.print(f"Report    {place('report/index.html')}", markup=False, soft_wrap=True)
    console.print(f"Tables    {place('')}", markup=False, soft_wrap=True)


def show_check(result: dict[str, Any], console: Console) -> None:
    """Prints what `check` has found, and what to do."""

    def tell(line: str) -> None:
        console.print(printable(line), markup=False, soft_wrap=True)

    for damage in result["damaged"]:
        tell(f"damaged: {damage['path']}: {damage['problem']} ({damage['stage']} {damage['unit']})")
    for path in result["unlisted"] if not result["held_by"] else ():
        tell(f"left over: {path}: on no list, so never read; the next run deletes it")
    for crawl, number in result.get("files_pending", {}).items():
        tell(f"pending: {number:,} input files of crawl {crawl} are in no finished batch")
    for entry in result["not_done"]:
        tell(f"{entry['state']}: {entry['stage']}")
    if result["held_by"]:
        tell(f"a run is at work: {result['held_by']}")
    if result["damaged"] or result["not_done"]:
        tell("`swallow-spark build` with the same inputs does this again, and what was computed from it; nothing else")
    elif not result["unlisted"] or result["held_by"]:
        tell("all is done, and every file is there as it was written")


def show_change(change: Change, console: Console) -> None:
    """Prints what new crawls have changed."""
    since = f"Since {change.finished}: {', '.join(change.new_crawls)}"
    table = Table(box=box.SIMPLE_HEAD, title=since, title_justify="left", pad_edge=False)
    table.add_column("")
    for heading in ("before", "now", "change"):
        table.add_column(heading, justify="right")
    for name, (before, now) in change.documents.items():
        table.add_row(name, f"{before:,}", f"{now:,}", f"{now - before:+,}")
    console.print(table)
