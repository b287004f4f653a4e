"""Upkeep of a corpus: taking back what was made."""

from typing import Annotated

import typer

from swallow_spark.commands.options import CorpusOption
from swallow_spark.corpus import Corpus, Unit
from swallow_spark.errors import UsageError
from swallow_spark.lineage import COMPUTED_FROM

app = typer.Typer()


@app.command()
def discard(
    corpus: CorpusOption,
    stage: Annotated[str, typer.Option("--stage", metavar="STAGE", help=f"One of {', '.join(COMPUTED_FROM)}.")],
) -> None:
    """Deletes what a stage made and all that was computed from it, to do it again. Numbers of inputs stay."""
    if stage not in COMPUTED_FROM:
        raise UsageError(f"--stage {stage}: it is one of {', '.join(COMPUTED_FROM)}")
    opened = Corpus.open(corpus)
    with opened.lock():
        for name in (*COMPUTED_FROM[stage], stage):  # the stage itself last: interrupted, the same call can be repeated
            found = opened.manifests(name)
            for manifest in found:
                opened.forget(Unit(name, manifest.unit))
            if found:
                typer.echo(f"{name}: {len(found)} units discarded", err=True)
