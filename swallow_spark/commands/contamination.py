"""Finding pages that hold questions of benchmarks."""

import json
from typing import Annotated

import typer

from swallow_spark import pipeline
from swallow_spark.commands.options import ConfigOption, CorpusOption, JsonOption, MasterOption, SetOption
from swallow_spark.commands.running import running
from swallow_spark.errors import UsageError

app = typer.Typer()


@app.command()
def decontaminate(
    corpus: CorpusOption,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", metavar="FILE", help="Questions as JSON lines; repeatable. Default: as configured."),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measures how much of benchmarks' questions each kept page has, and decides: those with most of one fall."""
    overrides = list(set_ or ())
    if against:
        overrides.append(f"decontamination.against={json.dumps(against, ensure_ascii=False)}")
    with running("decontaminate", corpus, config, overrides, master, as_json) as run:
        if not run.config.decontamination.against:
            raise UsageError("decontaminate: give --against, or decontamination.against in the configuration")
        pipeline.do(run, {"decontaminate", "decide"})
