"""The summary of a corpus, from manifests alone."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from swallow_spark.commands.tables import show_summary
from swallow_spark.corpus.corpus import Corpus, Unit
from swallow_spark.corpus.summary import summarise


def decided(directory: Path, accepted: int, pages: int = 1000) -> Corpus:
    """A corpus in which a preset has decided on some pages."""
    corpus = Corpus.open_or_create(str(directory))
    sums = {"accepted": accepted, "rejected:a:low": pages - accepted, "rejected:b:high": 3}
    table, path = "verdicts/preset=p", "verdicts/preset=p/crawl=c/x-0123456789ab/part.parquet"
    written = {"table": table, "path": path, "rows": pages, "bytes": 1, "crc32": None, "sums": sums, "cpu_seconds": 0}
    corpus.commit(Unit("decide", "preset=p/crawl=c"), "f", {}, "u", [written])
    return corpus


@pytest.mark.parametrize(
    ("accepted", "said"),
    [
        (0, "Warning: the rules of p reject all 1,000 pages that they decide on; most often: a:low 1,000, b:high 3"),
        (99, "Warning: the rules of p reject 90.1% of the 1,000 pages that they decide on; most often: a:low 901"),
        (100, None),
    ],
)
def test_rules_that_leave_next_to_nothing_are_a_warning(tmp_path: Path, accepted: int, said: str | None) -> None:
    corpus = decided(tmp_path, accepted)
    summary = summarise(corpus, "p", ())
    assert len(summary.get("warnings", ())) == (said is not None)
    shown = io.StringIO()
    show_summary(Console(file=shown, width=80), summary, corpus)
    assert said in shown.getvalue() if said else "Warning" not in shown.getvalue()
