"""Estimate of what a corpus of a given size needs."""

from typing import Annotated, Any

from swallow_spark.commands.options import DEFAULT_CONFIG, JsonOption, PlainConfigOption, SetOption, command, option
from swallow_spark.commands.tables import print_result, show_capacity
from swallow_spark.config.load import Config, load
from swallow_spark.files.storage import fetch
from swallow_spark.kernels.lsh import collision_probability
from swallow_spark.kernels.order.capacity import HEAP_BYTES, JACCARD, WORKER_BYTES, needs


@command("capacity")
def capacity(
    pages: Annotated[int, option("--pages", "N", "Pages of the corpus, in all crawls.", min=1)],
    chars: Annotated[float, option("--chars", "N", "Mean characters of a page.", min=0)] = 1500,
    config: PlainConfigOption = DEFAULT_CONFIG,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate the disk space and memory that a corpus needs. Also prints the probability that pages of a given
    similarity share a bucket in dedup. Needs no Spark."""
    print_result(plan(load(config, set_ or (), fetch), pages, chars), as_json, show_capacity)


def plan(config: Config, pages: int, chars: float) -> dict[str, Any]:
    sketch, a_pass = config.sketch, config.execution.bands_per_pass
    setting = {"bands": sketch.bands, "rows_per_band": sketch.rows_per_band}
    return {
        "pages": pages,
        "chars_per_page": chars,
        **setting,
        "shingle_chars": sketch.shingle_chars,
        "bands_per_pass": a_pass,
        "probability": {str(value): collision_probability(value, **setting) for value in JACCARD},
        "bytes": needs(pages, bands_per_pass=a_pass, chars_per_page=chars, **setting)._asdict(),
        "memory_per_core": {"python_worker": WORKER_BYTES, "jvm_heap": HEAP_BYTES},
    }
