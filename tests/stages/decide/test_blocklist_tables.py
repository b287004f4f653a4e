"""Which tables of lists are below a corpus, without Spark."""

from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from swallow_spark.config.load import load
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.pipeline import STAGES
from swallow_spark.session.progress import Progress
from swallow_spark.stages.decide.blocklists import blocklists
from swallow_spark.stages.run import Run


def test_tables_of_other_lists_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Corpus, "read_files", lambda corpus, spark, schema, paths: paths)
    corpus = Corpus.open_or_create(str(tmp_path / "corpus"))
    nothing: Any = object()

    def paths(**lists: list[str]) -> list[str]:
        overrides = []
        for name, lines in lists.items():
            path = tmp_path / f"{name}.txt"
            path.write_text("\n".join(lines))
            overrides.append(f"rules.{name}=['{path}']")
        run = Run(corpus, load("demo", overrides), Progress(lambda: nothing, Console(file=StringIO())), STAGES)
        found: list[Any] = [blocklists(run).domains, blocklists(run).prefixes]
        return [path for paths in found if paths for path in paths]

    first = paths(host_lists=["a.example"], url_lists=["b.example/c"])
    assert sorted(first) == corpus.root.files("blocklists")
    assert pq.read_table(corpus.root.local_path(first[0]))["domain"].to_pylist() == ["a.example"]
    (second,) = paths(host_lists=["a.example", "d.example"])
    assert second not in first
    assert corpus.root.files("blocklists") == [second]
    assert paths() == []
    assert corpus.root.files("blocklists") == []
    assert paths(host_lists=["a.example"]) == first[:1]
