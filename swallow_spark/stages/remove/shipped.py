"""Removal requests as tasks open them: sorted keys in files below the corpus root, memory-mapped."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4
from weakref import WeakValueDictionary

import numpy as np

from swallow_spark.files.storage import Root
from swallow_spark.kernels.text.tombstones import Keys, Tombstones

_opened: Final[WeakValueDictionary[Path, Tombstones]] = WeakValueDictionary()  # a mapped file keeps its place on disk


@dataclass(frozen=True)
class Shipped:
    """The directory of the keys. Cheap to pickle into tasks."""

    root: Root
    directory: str

    def open(self) -> Tombstones:
        """The removal requests, opened once as long as they are in use; the processes of a machine share their
        memory."""
        directory = self.root.local_copy(self.directory)
        if (found := _opened.get(directory)) is None:
            found = _opened[directory] = Tombstones(*(_map(directory / f"{name}.npy") for name in ("hosts", "urls")))
        return found


def _map(file: Path) -> Keys:
    with file.open("rb") as stream:
        np.lib.format.read_magic(stream)
        shape, *_ = np.lib.format.read_array_header_1_0(stream)
    keys: Keys = np.load(file, mmap_mode="r" if shape[0] else None, allow_pickle=False)  # empty ones can't be mapped
    return keys


def ship(root: Root, hosts: Keys, urls: Keys) -> Shipped:
    """Writes the keys for tasks to read. The next run deletes what is left in lookups/."""
    directory = f"lookups/tombstones-{uuid4().hex[:12]}"
    for name, keys in (("hosts", hosts), ("urls", urls)):
        content = io.BytesIO()
        np.save(content, keys, allow_pickle=False)
        root.write_atomically(f"{directory}/{name}.npy", content.getvalue())
    return Shipped(root, directory)
