"""A job for the test of full disks, which runs it in a name space of mounts: `full_disks.py SKETCHED PLACE`.

Dedup of a copy of a corpus that has sketches, with small disks under the corpus and under what Spark shuffles: first
the latter is full, then the former, then both have room. Prints, as JSON, how each run ended and what it said, and
leaves the corpus in PLACE. Then what is told where the temporary directory is full, by what tasks write there.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from commands import call

from swallow_spark.corpus import lookups, read
from swallow_spark.errors import root_cause
from swallow_spark.files.storage import Root
from swallow_spark.kernels.minhash import buckets
from swallow_spark.stages.deduplicate.spill import DiskSpill


def mount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)


class Remote(Root):
    """A root of which tasks have copies in their temporary directory."""

    @property
    def is_local(self) -> bool:
        return False


def write_decisions(root: Root) -> None:
    rows = pa.RecordBatch.from_pydict({"doc_id": np.arange(1 << 16)})
    list(lookups._write_piece(iter([rows]), root, "lookups"))


def copy_decisions(root: Root) -> None:
    root.local_copy("lookup")


def spill_keys(_root: Root) -> None:
    with DiskSpill() as spill:
        spill.add([np.zeros(1 << 14, buckets.ROW)])


def told_of(work: Callable[[Root], None], root: Root) -> str:
    try:
        work(root)
    except OSError as error:
        return root_cause(error)
    return "no error"


def deduplicate(corpus: Path, scratch: Path) -> tuple[int, str, bool]:
    ran = call("deduplicate", "--corpus", corpus, "--set", f"spark.spark.local.dir={scratch}")
    return ran.status, ran.err, (corpus / "lock.json").exists()


if __name__ == "__main__":
    read.FEW_ROWS = 0  # so that dedup shuffles
    sketched, place = map(Path, sys.argv[1:])
    disk, scratch = place / "disk", place / "scratch"
    for directory, size in ((disk, "64m"), (scratch, "8k")):
        directory.mkdir()
        mount(directory, f"size={size}")
    corpus = Path(shutil.copytree(sketched, disk / "corpus"))
    ended = [deduplicate(corpus, scratch)]
    mount(scratch, "remount,size=64m")
    mount(disk, f"remount,size={shutil.disk_usage(disk).used // 1024 + 8}k")
    ended.append(deduplicate(corpus, scratch))
    mount(disk, "remount,size=64m")
    ended.append(deduplicate(corpus, scratch))
    shutil.copytree(corpus, place / "corpus")
    temporary = place / "temporary"
    temporary.mkdir()
    mount(temporary, "size=64k")
    tempfile.tempdir = str(temporary)
    (place / "lookup").write_bytes(bytes(1 << 17))
    works = (write_decisions, copy_decisions, spill_keys)
    print(json.dumps([ended, [told_of(work, Remote(str(place))) for work in works]]))
