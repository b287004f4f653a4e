"""Manifests: what the finished units of a corpus consist of, one JSON file per unit.

A corpus of many crawls has tens of thousands of them, and an object store takes tens of milliseconds to answer, so many
are read at a time.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

import pydantic
from pydantic import BaseModel, ConfigDict

from swallow_spark.errors import CorpusError
from swallow_spark.files.storage import Root

_DIRECTORY: Final = "manifests"
_SUFFIX: Final = ".json"
_READ_AT_ONCE: Final = 32


@pydantic.dataclasses.dataclass(frozen=True, slots=True)
class File:
    """A Parquet file of a table."""

    table: str
    path: str
    rows: int
    bytes: int
    crc32: int | None = None
    """Of the whole file; None in manifests of older releases."""


class Manifest(BaseModel):
    """What a finished unit consists of."""

    model_config = ConfigDict(frozen=True)
    stage: str
    unit: str
    id: str
    fingerprint: str
    meaning: dict[str, Any]  # the configuration behind the fingerprint, for showing differences
    upstream: str  # identifies the units that it was computed from
    files: tuple[File, ...]
    counts: dict[str, int]
    covers: tuple[tuple[int, int], ...] = ()  # ranges of file_no; only units that read inputs have them
    details: dict[str, Any] = {}
    cpu_seconds: float = 0  # of the tasks' Python; those of the JVM are in the run's manifest
    version: str
    finished: datetime

    def rows(self, table: str) -> int:
        return sum(file.rows for file in self.files if file.table == table)

    @property
    def directories(self) -> set[str]:
        """The directories of its files; no other unit writes to them."""
        return {file.path.rpartition("/")[0] for file in self.files}


@dataclass(frozen=True)
class Unit:
    """One piece of work that is committed as a whole."""

    stage: str
    name: str

    @property
    def manifest(self) -> str:
        return f"{_DIRECTORY}/{self.stage}/{self.name}{_SUFFIX}"


class Stored(NamedTuple):
    """All that is below a corpus's root at one moment."""

    files: dict[str, int]
    """path -> bytes"""
    directories: list[str]
    units: dict[Unit, Manifest | None]
    """None: the manifest can't be read. Whoever holds the lock keeps this up to date."""


def find(root: Root, stage: str = "") -> list[Unit]:
    """The units of a stage, or of all, that have a manifest, readable or not; by path."""
    return list(_units(root.files(f"{_DIRECTORY}/{stage}", _SUFFIX)))


def stored(root: Root) -> Stored:
    """What is there, from one listing, with all manifests."""
    listing = root.listing()
    return Stored(listing.files, listing.directories, dict(_read(root, list(_units(listing.files)))))


def read(root: Root, units: Iterable[Unit]) -> list[Manifest]:
    """The manifests of those units that have one, in their order. Raises CorpusError if one can't be read."""
    return [sound(unit, manifest) for unit, manifest in _read(root, list(units))]


def sound(unit: Unit, manifest: Manifest | None) -> Manifest:
    """The manifest. Raises CorpusError for one that can't be read."""
    if not manifest:
        raise CorpusError(f"{unit.manifest}: damaged (`swallow-spark check` says what to redo)")
    return manifest


def _units(paths: Iterable[str]) -> Iterator[Unit]:
    for path in paths:
        top, _, rest = path.partition("/")
        if top == _DIRECTORY and "/" in rest and rest.endswith(_SUFFIX):
            stage, _, name = rest.removesuffix(_SUFFIX).partition("/")
            yield Unit(stage, name)


def _read(root: Root, units: list[Unit]) -> Iterator[tuple[Unit, Manifest | None]]:
    """The units that have a manifest, in their order, with it; None for one that can't be read."""
    with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
        contents = pool.map(partial(_content, root), units)
        for unit, content in zip(units, contents, strict=True):
            if content is not None:
                yield unit, _parsed(content)


def _content(root: Root, unit: Unit) -> bytes | None:
    try:
        return root.read_bytes(unit.manifest)
    except FileNotFoundError:
        return None


def _parsed(content: bytes) -> Manifest | None:
    try:
        return Manifest.model_validate_json(content)
    except ValueError:
        return None
