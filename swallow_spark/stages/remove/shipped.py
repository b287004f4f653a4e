"""Removal requests as tasks open them: sorted keys in files below the corpus root, memory-mapped."""

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

import numpy as np

from swallow_spark.files.storage import Root
from swallow_spark.kernels.text.tombstones import Keys, Tombstones


@dataclass(frozen=True)
class Shipped:
    """The directory of the keys. Cheap to pickle into tasks."""

    root: Root
    directory: str

    def open(self) -> Tombstones:
        """The removal requests, opened once a process; the processes of a machine share their memory."""
        return _open(self.root.local_copy(self.directory))


@lru_cache(maxsize=4)
def _open(directory: Path) -> Tombstones:
    return Tombstones(*(_map(directory / f"{name}.npy") for name in ("hosts", "urls")))


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
