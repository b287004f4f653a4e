"""datatrove's MinHash dedup over JSON lines, run by benchmarks/peers.py with the Python that has datatrove.

Usage: peer_datatrove.py INPUT_DIRECTORY SCRATCH CORES. SCRATCH/remove/<rank>.remove holds the uint32 line
numbers of the duplicates in the rank's file. Shingles are five characters of the unchanged text: the word tokenizer
yields characters, and normalisation is off; datatrove's default, a Japanese word tokenizer, costs more.
"""

import sys
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
from datatrove.pipeline.dedup import minhash as dedup
from datatrove.pipeline.readers import JsonlReader
from datatrove.utils.hashing import HashConfig
from datatrove.utils.text import TextNormConfig


class Characters:
    def word_tokenize(self, text: str) -> list[str]:
        return list(text)


def main() -> None:
    inputs, scratch, cores = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    config = MinhashConfig(
        n_grams=5,
        num_buckets=40,
        hashes_per_bucket=20,
        norm_config=TextNormConfig(False, False, False, False, False),
        hash_config=HashConfig(precision=32, hash_fc="xxhash"),
    )
    dedup.load_word_tokenizer = lambda _: Characters()
    signature = MinhashDedupSignature(str(scratch / "signatures"), config)
    files = len(list(Path(inputs).glob("*.jsonl")))
    steps = [
        ([JsonlReader(inputs, glob_pattern="*.jsonl"), signature], files),
        ([MinhashDedupBuckets(str(scratch / "signatures"), str(scratch / "buckets"), config=config)], 40),
        ([MinhashDedupCluster(str(scratch / "buckets"), str(scratch / "remove"), config=config)], 1),
    ]
    for number, (pipeline, tasks) in enumerate(steps):
        logs = str(scratch / f"logs-{number}")
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=min(cores, tasks), logging_dir=logs).run()


if __name__ == "__main__":
    main()
