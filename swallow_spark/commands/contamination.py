"""Finding pages that hold questions of benchmarks."""

import json
from typing import Annotated

import typer

from swallow_spark import pipeline
from swallow_spark.commands.options import OnCorpus, command
from swallow_spark.commands.running import running
from swallow_spark.errors import UsageError


@command("decontaminate")
def decontaminate(
    call: OnCorpus,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", metavar="FILE", help="Questions as JSON lines; repeatable. Default: as configured."),
    ] = None,
) -> None:
    """Measure which part of a benchmark's questions each kept page contains, and reject pages with most of one."""
    if against:
        call = call.overriding(f"decontamination.against={json.dumps(against, ensure_ascii=False)}")
    with running(call) as run:
        if not run.config.decontamination.against:
            raise UsageError("decontaminate: give --against, or decontamination.against in the configuration")
        pipeline.do(run, {"decontaminate", "decide"})
