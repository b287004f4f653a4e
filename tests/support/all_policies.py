"""A job for the test of a cluster: dedup of corpora, each by the policy that it is named after, in one session."""

import sys
from pathlib import Path

from swallow_spark.config.load import load
from swallow_spark.corpus import read
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.pipeline import STAGES
from swallow_spark.session.progress import Progress
from swallow_spark.session.session import open_session
from swallow_spark.stages.deduplicate.step import deduplicate
from swallow_spark.stages.run import Run

if __name__ == "__main__":
    read.FEW_ROWS = 0  # with shuffles, as of many pages
    spark = open_session("policies")
    for location in map(Path, sys.argv[1:]):
        corpus = Corpus.open(str(location))
        with corpus.lock():
            config = load("demo", [f"dedup.policy={location.name}"])
            deduplicate(Run(corpus, config, Progress(lambda: spark), STAGES))
    spark.stop()
