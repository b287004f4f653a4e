"""Whether what the manifests of a corpus list is there and whole, and how what isn't is done again."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from swallow_spark.corpus import Corpus, Manifest, Unit
from swallow_spark.errors import CorpusError

_READERS: Final = 8
_MANIFESTS: Final = "manifests/"


class Damage(NamedTuple):
    """A file that isn't what a manifest says, or a manifest that can't be read; its unit has to be done again."""

    unit: Unit
    path: str
    problem: str


def damages(corpus: Corpus, *, content: bool = False) -> list[Damage]:
    """Files that are missing or cut, and manifests that can't be read, from one listing of the corpus.

    content: reads every row group of every file as well, with its checksums.
    """
    sizes = corpus.root.sizes("")
    found, listed = [], []
    for unit, manifest in _manifests(corpus, sizes):
        if not manifest:
            found.append(Damage(unit, unit.manifest, "can't be read"))
            continue
        for file in manifest.files:
            if file.path not in sizes:
                found.append(Damage(unit, file.path, "missing"))
            elif sizes[file.path] != file.bytes:
                found.append(Damage(unit, file.path, f"{sizes[file.path]:,} bytes, not {file.bytes:,}"))
            else:
                listed.append((unit, file.path, file.rows))
        if manifest.stage == "ingest" and (problem := _unbalanced(manifest)):
            found.append(Damage(unit, unit.manifest, problem))
    if content:
        with ThreadPoolExecutor(_READERS) as pool:
            found += [damage for damage in pool.map(lambda entry: _read(corpus, *entry), listed) if damage]
    return found


def leftovers(corpus: Corpus, found: Iterable[Damage] = ()) -> list[str]:
    """Directories of units that no manifest lists: of a killed run, or of a manifest that is gone."""
    of_damaged = {damage.unit for damage in found}
    return [] if any(not _is_readable(corpus, unit) for unit in of_damaged) else corpus.unlisted_directories()


def repair(corpus: Corpus, crawl: str | None, say: Callable[[str], None]) -> None:
    """Takes back units with damage, so that the run that calls this does them again. Only under the lock.

    crawl: the one whose inputs the run reads. Raises CorpusError where pages of another one are damaged.
    """
    manifests = corpus.root.files(_MANIFESTS.rstrip("/"), ".json")
    for damage in damages(corpus):
        of = damage.unit.name.partition("/")[0].removeprefix("crawl=")
        if damage.unit.stage == "ingest" and of != crawl:
            raise CorpusError(
                f"{damage.path}: {damage.problem}; pages of crawl {of} have to be read again first: "
                f"`swallow-spark build` or `ingest` with --crawl {of} and its inputs"
            )
        if damage.unit.stage == "tombstones":
            raise CorpusError(
                f"{damage.path}: {damage.problem}; pages that were removed would come back. Take the file from a "
                "backup, or `swallow-spark discard --stage tombstones` and `remove` them again"
            )
        say(f"{damage.path}: {damage.problem}; {damage.unit.stage} {damage.unit.name} has to be done again")
        for manifest in _lost_with(damage.unit, manifests):
            corpus.root.delete(manifest)  # what it has listed is then a leftover, and swept away


def _lost_with(unit: Unit, manifests: Iterable[str]) -> list[str]:
    """Of pages that are read again, perhaps in batches of other names, nothing that was made of them may stay."""
    of_batch = [path for path in manifests if path.endswith(f"/{unit.name}.json")] if unit.stage == "ingest" else []
    return [*of_batch, unit.manifest]


def _manifests(corpus: Corpus, paths: Iterable[str]) -> Iterator[tuple[Unit, Manifest | None]]:
    for path in paths:
        if path.startswith(_MANIFESTS) and path.endswith(".json"):
            stage, _, name = path[len(_MANIFESTS) : -len(".json")].partition("/")
            unit = Unit(stage, name)
            yield unit, corpus.manifest(unit) if _is_readable(corpus, unit) else None


def _is_readable(corpus: Corpus, unit: Unit) -> bool:
    try:
        corpus.manifest(unit)
    except CorpusError:
        return False
    return True


def _unbalanced(manifest: Manifest) -> str | None:
    counts = manifest.counts
    others = sum(number for name, number in counts.items() if name.startswith(("passed_over:", "failure:")))
    pages = manifest.rows("pages")
    if counts.get("records", 0) == pages + others:
        return None
    return f"{counts.get('records', 0):,} records, but {pages:,} pages + {others:,} others"


def _read(corpus: Corpus, unit: Unit, path: str, rows: int) -> Damage | None:
    try:
        with corpus.root.open_input(path) as stream:
            file = pq.ParquetFile(stream, page_checksum_verification=True)
            read: Any = sum(file.read_row_group(group).num_rows for group in range(file.num_row_groups))
    except (OSError, pa.ArrowException) as error:
        return Damage(unit, path, f"can't be read: {error}")
    return None if read == rows else Damage(unit, path, f"{read:,} rows, not {rows:,}")
