"""Whether what the manifests of a corpus list is there and whole, and how what isn't is done again."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import deflate
import pyarrow as pa
import pyarrow.parquet as pq

from swallow_spark.corpus.corpus import Corpus, Manifest, Stored, Unit
from swallow_spark.corpus.manifests import File
from swallow_spark.errors import CorpusError, is_shortage

_READERS: Final = 8
_CHUNK_BYTES: Final = 4 << 20  # that each of them holds
_BY_SIZE: Final = "to have it done again delete it first, for `build` looks at sizes alone"


class Damage(NamedTuple):
    """A file that isn't what a manifest says, or a manifest that can't be read; its unit has to be done again."""

    unit: Unit
    path: str
    problem: str


def damages(corpus: Corpus, found: Stored, *, content: bool = False) -> list[Damage]:
    """Files that are missing or cut, and manifests that can't be read, among what was found in the corpus.

    content: reads every file as well, and compares its checksum; where a manifest has none, the file's own.
    """
    result, listed = [], []
    for unit, manifest in found.units.items():
        if not manifest:
            result.append(Damage(unit, unit.manifest, "can't be read"))
            continue
        for file in manifest.files:
            size = found.files.get(file.path)
            if size is None:
                result.append(Damage(unit, file.path, "missing"))
            elif size != file.bytes:
                result.append(Damage(unit, file.path, f"{size:,} bytes, not {file.bytes:,}"))
            else:
                listed.append((unit, file))
        if manifest.stage == "ingest" and (problem := _unbalanced(manifest)):
            result.append(Damage(unit, unit.manifest, problem))
    if content:
        with ThreadPoolExecutor(_READERS) as pool:
            result += [damage for damage in pool.map(lambda entry: _read(corpus, *entry), listed) if damage]
    return result


def confirmed(corpus: Corpus, found: Sequence[Damage], *, content: bool = False) -> list[Damage]:
    """Those that a second look at their units finds as well: a run that replaced a unit during the first one had its
    old files in one place and its new ones in the other."""
    units, paths = {damage.unit for damage in found}, {damage.path for damage in found}
    now = corpus.stored()
    again = now._replace(units={unit: manifest for unit, manifest in now.units.items() if unit in units})
    return [damage for damage in damages(corpus, again, content=content) if damage.path in paths]


def repair(
    corpus: Corpus, found: Stored, crawl: str | None, again: Callable[[Unit], str], say: Callable[[str], None]
) -> None:
    """Takes back units with damage, and tells which command does them again. Only under the lock.

    crawl: the one whose inputs the run reads. again: the command that does a unit again. Raises CorpusError where pages
    of another crawl are damaged.
    """
    damaged: dict[Unit, str] = {}
    for damage in damages(corpus, found):
        damaged.setdefault(damage.unit, f"{damage.path}: {damage.problem}")
    for unit, what in damaged.items():
        of = unit.name.partition("/")[0].removeprefix("crawl=")
        if unit.stage == "ingest" and of != crawl:
            raise CorpusError(
                f"{what}; pages of crawl {of} have to be read again first: "
                f"`swallow-spark build` or `ingest` with --crawl {of} and its inputs"
            )
        if unit.stage == "tombstones":
            raise CorpusError(
                f"{what}; pages that were removed would come back. Take the file from a "
                "backup, or `swallow-spark discard --stage tombstones` and `remove` them again"
            )
    for unit, what in damaged.items():
        say(f"{what}; {unit.stage} {unit.name} is taken back, and {again(unit)} does it again")
        for lost in _lost_with(unit, found):
            corpus.forget(lost)


def _lost_with(unit: Unit, found: Stored) -> list[Unit]:
    """Of pages that are read again, perhaps in batches of other names, nothing that was made of them may stay. The unit
    itself is the last one: who is interrupted finds the damage again."""
    made_of = [other for other in found.units if other != unit and other.manifest.endswith(f"/{unit.name}.json")]
    return [*made_of, unit] if unit.stage == "ingest" else [unit]


def _unbalanced(manifest: Manifest) -> str | None:
    counts = manifest.counts
    others = sum(number for name, number in counts.items() if name.startswith(("passed_over:", "failure:")))
    pages = manifest.rows("pages")
    if counts.get("records", 0) == pages + others:
        return None
    return f"{counts.get('records', 0):,} records, but {pages:,} pages + {others:,} others"


def _read(corpus: Corpus, unit: Unit, file: File) -> Damage | None:
    try:
        with corpus.root.open_input(file.path) as stream:
            problem = _other_rows(stream, file.rows) if file.crc32 is None else _other_bytes(stream, file.crc32)
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: names of columns that are no UTF-8
        if is_shortage(error):
            raise
        problem = f"can't be read: {error}"
    return Damage(unit, file.path, f"{problem}; {_BY_SIZE}") if problem else None


def _other_bytes(stream: Any, crc32: int) -> str | None:
    found = 0
    while data := stream.read(_CHUNK_BYTES):
        found = deflate.crc32(data, found)
    return None if found == crc32 else f"not the bytes that were written: CRC-32 {found:08x}, not {crc32:08x}"


def _other_rows(stream: Any, rows: int) -> str | None:
    """By the checksums of pages alone, which most of a footer has none of."""
    file = pq.ParquetFile(stream, page_checksum_verification=True)
    read = sum(file.read_row_group(group).num_rows for group in range(file.num_row_groups))
    return None if read == rows else f"{read:,} rows, not {rows:,}"
