"""Estimate of what a corpus of a given size needs."""

from typing import Annotated, Any

import typer

from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import DEFAULT_CONFIG, JsonOption, PlainConfigOption, SetOption, command, option
from swallow_spark.commands.tables import print_result, show_capacity

with on_first_use():
    from swallow_spark.config import load as configs
    from swallow_spark.files import storage
    from swallow_spark.kernels import lsh
    from swallow_spark.kernels.order import capacity as capacities
    from swallow_spark.kernels.order import numbers


def _whole(text: str) -> int:
    try:
        return numbers.whole(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@command("capacity", "Plan", "8.3B")
def capacity(
    pages: Annotated[
        int,
        typer.Argument(
            metavar="PAGES",
            parser=_whole,
            help="Pages in all crawls: 45M, 8.3B, 1.9e9.",
            show_default=False,
        ),
    ],
    chars: Annotated[float, option("--chars", "N", "Mean characters of a page.", min=0)] = 1500,
    config: PlainConfigOption = DEFAULT_CONFIG,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate the disk space and memory that a corpus needs. Also prints the probability that pages of a given
    similarity share a bucket in dedup. Needs no Spark."""
    print_result(plan(configs.load(config, set_ or (), storage.fetch), pages, chars), as_json, show_capacity)


def plan(config: "configs.Config", pages: int, chars: float) -> dict[str, Any]:
    sketch, a_pass = config.sketch, config.execution.bands_per_pass
    setting = {"bands": sketch.bands, "rows_per_band": sketch.rows_per_band}
    return {
        "pages": pages,
        "chars_per_page": chars,
        **setting,
        "shingle_chars": sketch.shingle_chars,
        "bands_per_pass": a_pass,
        "probability": {str(value): lsh.collision_probability(value, **setting) for value in capacities.JACCARD},
        "bytes": capacities.needs(pages, bands_per_pass=a_pass, chars_per_page=chars, **setting)._asdict(),
        "memory_per_core": {"python_worker": capacities.WORKER_BYTES, "jvm_heap": capacities.HEAP_BYTES},
    }
