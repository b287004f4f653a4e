"""Finding pages that contain benchmark questions."""

import json
from typing import Annotated

from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import OnCorpus, command, option
from swallow_spark.commands.running import running
from swallow_spark.errors import UsageError

with on_first_use():
    from swallow_spark import pipeline


@command("decontaminate", "Single stages", "--corpus my-corpus --against benchmark.jsonl")
def decontaminate(
    call: OnCorpus,
    against: Annotated[
        list[str] | None, option("--against", "FILE", "Benchmark questions as JSONL; repeatable. Default: configured.")
    ] = None,
) -> None:
    """Reject pages that contain benchmark questions. Measures the share of a question's n-grams in each page."""
    if against:
        call = call.overriding(f"decontamination.against={json.dumps(against, ensure_ascii=False)}")
    with running(call) as run:
        if not run.config.decontamination.against:
            raise UsageError("decontaminate: give --against, or set decontamination.against in the configuration")
        pipeline.do(run, {"decontaminate", "decide"})
