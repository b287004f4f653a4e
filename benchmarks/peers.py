"""Dedup of texts: ours, datatrove's MinHash dedup and text-dedup, on the same documents and cores.

Run: .venv/bin/python -m benchmarks.peers --peers OTHER_VENV/bin/python [--documents 2500 5000] [--ours-alone 200000]
     TEXTS.jsonl.gz...

OTHER_VENV has `pip install datatrove[processing] text-dedup`, which need other versions than ours. The documents are
those of benchmarks/near_duplicates.py. All use shingles of five characters and 40 bands of 20 values:

* ours: `import --until deduplicate`, the start of Spark included;
* datatrove: signatures, buckets, clusters; not the filter that writes the kept texts;
* text-dedup: its `minhash` with its faster hash (XXH3 of 32 bits). It splits by words, so it gets the characters
  separated by spaces; it drops characters that aren't letters or digits.

CPU seconds include all processes. The peers' growth with the number of documents is measured; their times for more
documents are extrapolated and marked so.
"""

import argparse
import contextlib
import ctypes
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.near_duplicates import read_texts, write
from benchmarks.watch import Spent, family
from swallow_spark.corpus.corpus import Corpus, Unit

HERE = Path(__file__).resolve().parent
BANDS, ROWS = 40, 20


class Cost(NamedTuple):
    cpu: float
    seconds: float


def run(command: list[str], log: Path) -> Cost:
    """The cost of a program and all its descendants, including orphans, which become our children."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    environment = {
        **os.environ,
        "TOKENIZERS_PARALLELISM": "false",
        "HF_DATASETS_OFFLINE": "1",
        "PYTHONPATH": str(HERE.parent),
    }
    spent, started, own = Spent(), time.monotonic(), time.process_time()
    before = spent.seconds()
    with log.open("ab") as sink, subprocess.Popen(command, stdout=sink, stderr=sink, env=environment) as program:
        while program.poll() is None or len(family()) > 1:
            spent.seconds()
            time.sleep(0.1)
            if program.returncode is not None:
                _reap()
    if program.returncode:
        raise subprocess.CalledProcessError(program.returncode, command)
    own = time.process_time() - own
    return Cost(spent.seconds() - before - own, time.monotonic() - started)


def _reap() -> None:
    """Reaps orphans that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def ours(inputs: Path, scratch: Path, cores: int, policy: str = "bucket") -> tuple[Cost, set[int]]:
    files = [str(path) for path in sorted(inputs.glob("*.jsonl"))]
    program = [sys.executable, "-m", "swallow_spark.cli"]
    common = ["--corpus", str(scratch / "corpus"), "--config", "swallow-v2", "--master", f"local[{cores}]"]
    common += ["--set", f"dedup.policy={policy}"]
    command = ["import", *common, "--crawl", "one", "--until", "deduplicate", *files]
    if (scratch / "corpus").exists():  # another policy over the same sketches
        command = ["deduplicate", *common]
    cost = run(program + command, scratch / "log")
    names: dict[int, str] = {}
    for path in (scratch / "corpus/pages").rglob("*.parquet"):
        table = pq.read_table(path, columns=["doc_id", "url"], partitioning=None)
        names.update(zip(table["doc_id"].to_pylist(), table["url"].to_pylist(), strict=True))
    manifest = Corpus.open(str(scratch / "corpus")).manifest(Unit("deduplicate", "corpus"))
    kept: set[int] = set()
    for file in manifest.files if manifest else []:
        if file.table == "groups":
            doc_ids = pq.read_table(scratch / "corpus" / file.path, columns=["doc_id"], partitioning=None)["doc_id"]
            kept.update(int(names[doc_id].rpartition("/")[2]) for doc_id in doc_ids.to_pylist())
    return cost, kept


def datatrove(python: str, inputs: Path, scratch: Path, cores: int) -> tuple[Cost, set[int]]:
    command = [python, str(HERE / "peer_datatrove.py"), str(inputs), str(scratch), str(cores)]
    cost = run(command, scratch / "log")
    kept: set[int] = set()
    start = 0
    for rank, path in enumerate(sorted(inputs.glob("*.jsonl"))):
        lines = sum(1 for _ in path.open("rb"))
        removal = scratch / f"remove/{rank:06}.remove"
        falls = np.fromfile(removal, "<u4").tolist() if removal.exists() else []
        kept |= set(range(start, start + lines)) - {start + line for line in falls}
        start += lines
    return cost, kept


def text_dedup(python: str, inputs: Path, scratch: Path, cores: int) -> tuple[Cost, set[int]]:
    spaced = scratch / "spaced.jsonl"
    with spaced.open("w", encoding="utf-8") as sink:
        for path in sorted(inputs.glob("*.jsonl")):
            for line in path.open(encoding="utf-8"):
                row = json.loads(line)
                sink.write(json.dumps({"id": row["id"], "text": " ".join(row["text"])}, ensure_ascii=False) + "\n")
    options: dict[str, object] = {
        "path": "json",
        "data_files": spaced,
        "split": "train",
        "cache_dir": scratch / "cache",
        "output": scratch / "kept",
        "column": "text",
        "ngram": 5,
        "num_perm": BANDS * ROWS,
        "b": BANDS,
        "r": ROWS,
        "hash_func": "xxh3",
        "hash_bits": 32,
        "num_proc": cores,
        "batch_size": 10_000,
    }
    command = [python, "-m", "text_dedup.minhash"]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    cost = run(command, scratch / "log")
    kept: set[int] = set()
    for path in (scratch / "kept").glob("*.arrow"):
        with pa.OSFile(str(path)) as file:
            kept.update(map(int, pa.ipc.open_stream(file).read_all()["id"].to_pylist()))
    return cost, kept


def shingles(text: str) -> set[str]:
    return {text[at : at + 5] for at in range(max(1, len(text) - 4))}


def compare(inputs: Path, kept: dict[str, set[int]]) -> None:
    """Prints how many documents each keeps, and how similar those kept by only one are to earlier group members."""
    rows = [json.loads(line) for path in sorted(inputs.glob("*.jsonl")) for line in path.open(encoding="utf-8")]
    groups: dict[int, list[int]] = {}
    for at, row in enumerate(rows):
        groups.setdefault(row["group"], []).append(at)
    cut = {at: shingles(rows[at]["text"]) for members in groups.values() if len(members) > 1 for at in members}

    def nearest(at: int, others: list[int]) -> float:
        return max((len(cut[at] & cut[o]) / len(cut[at] | cut[o]) for o in others if o != at), default=0.0)

    bins = [0.0, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0]
    earlier = {
        at: nearest(at, [o for o in members if o < at])
        for members in groups.values()
        if len(members) > 1
        for at in members
    }
    names = list(kept)
    print(
        f"\n| nearest earlier member of the group, J | documents | {' | '.join(f'kept by {name}' for name in names)} |"
    )
    print("|---|---:|" + "---:|" * len(names))
    print(
        f"| alone | {len(rows) - len(cut)} | "
        + " | ".join(str(sum(at in kept[name] for at in range(len(rows)) if at not in cut)) for name in names)
        + " |"
    )
    for low, high in zip([-1.0, *bins], bins, strict=False):
        at_hand = [at for at, value in earlier.items() if low < value <= high]
        label = "first of its group, or nothing in common" if high == 0 else f"{max(low, 0):.2f} to {high:.2f}"
        print(
            f"| {label} | {len(at_hand)} | "
            + " | ".join(str(sum(at in kept[name] for at in at_hand)) for name in names)
            + " |"
        )
    print(f"| all | {len(rows)} | " + " | ".join(str(len(kept[name])) for name in names) + " |")
    print("\nOf each pair, how many documents one keeps and the other does not:\n")
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            print(
                f"* {one} keeps {len(kept[one] - kept[other])} that {other} drops; {other} keeps "
                f"{len(kept[other] - kept[one])} that {one} drops"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", required=True, help="the Python that has datatrove and text-dedup")
    parser.add_argument("--documents", type=int, nargs="+", default=[2500, 5000])
    parser.add_argument("--ours-alone", type=int, nargs="*", default=[200_000])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    arguments = parser.parse_args()
    whole = read_texts(arguments.texts)
    print(f"Made from {len(whole):,} characters of text; {arguments.cores} cores, Python {platform.python_version()}\n")
    contestants: dict[str, Callable[..., tuple[Cost, set[int]]]] = {
        "swallow-spark": ours,
        "datatrove": lambda *rest: datatrove(arguments.peers, *rest),
        "text-dedup": lambda *rest: text_dedup(arguments.peers, *rest),
    }
    print("| | documents | kept | CPU s | seconds | CPU ms a document |\n|---|---:|---:|---:|---:|---:|", flush=True)
    for number in [*arguments.documents, *arguments.ours_alone]:
        scratch = Path(tempfile.mkdtemp(prefix="swallow-spark-peers-", dir=arguments.scratch))
        try:
            inputs = scratch / "inputs"
            write(whole, number, inputs)
            kept = {}
            for name, contestant in contestants.items():
                if number in arguments.ours_alone and name != "swallow-spark":
                    continue
                (scratch / name).mkdir()
                cost, kept[name] = contestant(inputs, scratch / name, arguments.cores)
                print(
                    f"| {name} | {number:,} | {len(kept[name]):,} | {cost.cpu:.1f} | {cost.seconds:.0f} "
                    f"| {cost.cpu / number * 1e3:.2f} |",
                    flush=True,
                )
            if number == arguments.documents[-1]:
                _, kept["swallow-spark, component"] = ours(
                    inputs, scratch / "swallow-spark", arguments.cores, "component"
                )
                last = shutil.copytree(inputs, scratch.parent / "swallow-spark-peers-inputs", dirs_exist_ok=True), kept
        finally:
            shutil.rmtree(scratch)
    compare(*last)
    shutil.rmtree(last[0])


if __name__ == "__main__":
    main()
