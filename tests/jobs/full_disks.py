"""A job for the test of full disks, which runs it in a name space of mounts: `full_disks.py SKETCHED PLACE`.

Dedup of a copy of a corpus that has sketches, with small disks under the corpus and under what Spark shuffles: first
the latter is full, then the former, then both have room. Prints, as JSON, how each run ended and what it said, and
leaves the corpus in PLACE.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from commands import call


def mount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)


def deduplicate(corpus: Path, scratch: Path) -> tuple[int, str, bool]:
    ran = call("deduplicate", "--corpus", corpus, "--set", f"spark.spark.local.dir={scratch}")
    return ran.status, ran.err, (corpus / "lock.json").exists()


if __name__ == "__main__":
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
    print(json.dumps(ended))
