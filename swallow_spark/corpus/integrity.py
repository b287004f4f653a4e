"""Finds files that are missing or damaged by what the manifests say, and takes back the units that they belong to."""

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
_CHUNK_BYTES: Final = 4 << 20  # held by each reader
_BY_SIZE: Final = "delete it, and `build` computes it again (`build` itself checks sizes only)"


class Damage(NamedTuple):
    """A file that isn't what a manifest says, or a manifest that can't be read. Its unit has to be redone."""

    unit: Unit
    path: str
    problem: str


def damages(corpus: Corpus, found: Stored, *, content: bool = False) -> list[Damage]:
    """Files that are missing or cut, and manifests that can't be read, among what was found in the corpus.

    content: also read every file and compare its checksum, or the file's own if the manifest has none.
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
    """The damages that a second check also finds: a run that replaced a unit during the first one is not damage."""
    units, paths = {damage.unit for damage in found}, {damage.path for damage in found}
    now = corpus.stored()
    again = now._replace(units={unit: manifest for unit, manifest in now.units.items() if unit in units})
    return [damage for damage in damages(corpus, again, content=content) if damage.path in paths]


def repair(
    corpus: Corpus, found: Stored, crawl: str | None, again: Callable[[Unit], str], say: Callable[[str], None]
) -> None:
    """Takes back damaged units, and says which command redoes them. Only under the lock.

    crawl: the one whose inputs the run reads. again: gives the command that redoes a unit. Raises CorpusError if pages
    of another crawl are damaged.
    """
    damaged: dict[Unit, str] = {}
    for damage in damages(corpus, found):
        damaged.setdefault(damage.unit, f"{damage.path}: {damage.problem}")
    for unit, what in damaged.items():
        of = unit.name.partition("/")[0].removeprefix("crawl=")
        if unit.stage == "ingest" and of != crawl:
            raise CorpusError(
                f"{what}; read the pages of crawl {of} again first: "
                f"`swallow-spark build` or `ingest` with --crawl {of} and its inputs"
            )
        if unit.stage == "tombstones":
            raise CorpusError(
                f"{what}; removed pages would come back. Restore the file from a backup, "
                "or run `swallow-spark discard --stage tombstones` and `remove` the pages again"
            )
    for unit, what in damaged.items():
        say(f"{what}; {unit.stage} {unit.name} is taken back, and {again(unit)} redoes it")
        if unit.stage == "ingest":  # its pages may be read again in other batches
            for other in list(found.units):
                if other != unit and other.manifest.endswith(f"/{unit.name}.json"):
                    corpus.forget(other)
        corpus.forget(unit)  # last, so that its damage is found again after an interruption


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
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: column names that aren't UTF-8
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
    """Checks the checksums of Parquet pages; most of the footer has none."""
    file = pq.ParquetFile(stream, page_checksum_verification=True)
    read = sum(file.read_row_group(group).num_rows for group in range(file.num_row_groups))
    return None if read == rows else f"{read:,} rows, not {rows:,}"
