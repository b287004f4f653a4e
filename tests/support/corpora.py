"""What is in a corpus, for comparing corpora, and slices of the pages that the project ships to build them from."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from warcio.archiveiterator import ArchiveIterator

from swallow_spark.corpus.corpus import Corpus, Manifest
from swallow_spark.pipeline import STAGES


def manifests(corpus: Path) -> dict[str, Manifest]:
    """All finished units: `STAGE/UNIT` -> manifest; but the report's, which has no rows."""
    opened = Corpus.open(str(corpus))
    stages = [name for name in STAGES.directories if name != "report"]
    return {f"{stage}/{m.unit}": m for stage in stages for m in opened.manifests(stage)}


def ids(corpus: Path, *stages: str) -> dict[str, str]:
    """The ids of the units of these stages: a unit that is done again gets another one."""
    return {name: m.id for name, m in manifests(corpus).items() if name.partition("/")[0] in stages}


def tables(corpus: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables that manifests list, in an order that doesn't depend on how they were cut up."""
    found: dict[str, list[dict[str, Any]]] = {}
    for manifest in manifests(corpus).values():
        for file in manifest.files:
            found.setdefault(file.table, []).extend(pq.read_table(corpus / file.path, partitioning=None).to_pylist())
    return {table: sorted(rows, key=lambda row: json.dumps(row, default=str)) for table, rows in found.items()}


def same_tables(one: Path, other: Path, added: Mapping[str, set[str]] | None = None) -> None:
    """Fails where two corpora differ in a row of a table, or in a threshold. `added`: columns of a table that the other
    one alone has."""
    left, right = tables(one), tables(other)
    assert left.keys() == right.keys()
    for table, rows in left.items():
        assert len(rows) == len(right[table]), table
        for row, counterpart in zip(rows, right[table], strict=True):
            new = {column: counterpart.pop(column) for column in (added or {}).get(table, ())}
            assert row == counterpart, table
            assert not new.keys() & row.keys(), table
    thresholds = "subsets/thresholds.json"
    assert (one / thresholds).read_bytes() == (other / thresholds).read_bytes()


def rows(corpus: Path, table: str) -> list[dict[str, Any]]:
    return tables(corpus).get(table, [])


def snapshot(corpus: Path, *but: str) -> dict[str, bytes]:
    """All files with their content, but those below some directories."""
    files = (path for path in sorted(corpus.rglob("*")) if path.is_file())
    names = {str(path.relative_to(corpus)): path for path in files}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith(but)}


def members(warc: Path) -> Iterator[tuple[str, str | None, bytes]]:
    """Type, URL and bytes of each record of a WARC that has one gzip member for each."""
    content = warc.read_bytes()
    with warc.open("rb") as stream:
        found = []
        records = ArchiveIterator(stream)
        for record in records:
            headers = record.rec_headers
            url = headers.get_header("WARC-Target-URI")
            found.append((record.rec_type, url, records.get_record_offset()))
    ends = [offset for _, _, offset in found[1:]] + [len(content)]
    for (kind, url, start), end in zip(found, ends, strict=True):
        yield kind, url, content[start:end]


def slice_of(warc: Path, target: Path, records: slice) -> Path:
    target.write_bytes(b"".join(content for _, _, content in list(members(warc))[records]))
    return target
