"""Rows of buckets on local disk, in the reducing tasks of dedup."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from swallow_spark.errors import filling
from swallow_spark.kernels.minhash.buckets import PART_BITS, ROW, Rows


class DiskSpill:
    """Rows on local disk, partitioned by key: all rows of a bucket are in one part."""

    def __enter__(self) -> Self:
        self._closing = ExitStack()
        self._directory = ""
        self._files: list[BinaryIO] = []
        self.used = False
        return self

    def __exit__(self, *error: Any) -> None:
        with filling(self._directory):  # closing a file writes what it has buffered
            self._closing.__exit__(*error)

    def add(self, held: list[Rows]) -> None:
        if not self.used:
            self.used = True
            self._directory = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="swallow-spark-"))
            paths = (Path(self._directory, str(part)) for part in range(1 << PART_BITS))
            self._files = [self._closing.enter_context(path.open("w+b")) for path in paths]
        for rows in held:
            # Keys are hashes, and partitions use their high bits, so low bits will do.
            part_of = rows["key"] & ((1 << PART_BITS) - 1)
            with filling(self._directory):
                for part in np.unique(part_of):
                    self._files[part].write(rows[part_of == part].tobytes())

    def parts(self) -> Iterator[Rows]:
        for file in self._files:
            with filling(self._directory):
                file.seek(0)
            yield np.frombuffer(file.read(), ROW)
