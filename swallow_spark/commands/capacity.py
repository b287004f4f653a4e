"""What a corpus of a given size needs, before there is one."""

from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from swallow_spark.commands.options import DEFAULT_CONFIG, JsonOption, SetOption, print_json
from swallow_spark.config.load import Config, load
from swallow_spark.files.storage import fetch
from swallow_spark.kernels.lsh import collision_probability
from swallow_spark.kernels.order.capacity import HEAP_BYTES, JACCARD, WORKER_BYTES, needs

app = typer.Typer()


@app.command()
def capacity(
    pages: Annotated[int, typer.Option("--pages", metavar="N", min=1, help="Pages of the corpus, all crawls.")],
    chars: Annotated[float, typer.Option("--chars", metavar="N", min=0, help="Characters of a page's text.")] = 1500,
    config: Annotated[str, typer.Option("--config", metavar="FILE", help="As of build.")] = DEFAULT_CONFIG,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """The curve of dedup's setting, and the bytes and memory that so many pages need. Without Spark."""
    found = plan(load(config, set_ or (), fetch), pages, chars)
    print_json(found) if as_json else show(found, Console(highlight=False))


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


_WHAT = {
    "pages": "text and metadata (table pages)",
    "sketches": "sketches",
    "features": "features of the rules",
    "duplicates_and_groups": "duplicates and groups",
    "between_passes": "between passes of dedup, deleted at its end",
    "exchanged": "exchanged by dedup in all (shuffle)",
    "exchanged_at_once": "of it on the executors' disks at a time",
    "lookups": "sorted doc_ids beside the text, mapped; at most",
}


def show(found: dict[str, Any], console: Console) -> None:
    console.print(
        f"{found['bands']} bands of {found['rows_per_band']} values over shingles of {found['shingle_chars']} "
        "characters. Two pages share a bucket, if their Jaccard similarity is J, with the probability"
    )
    curve = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    curve.add_column("J")
    curve.add_column("probability")
    for jaccard, probability in found["probability"].items():
        curve.add_row(jaccard, f"{probability:.4f} {'█' * round(40 * probability)}")
    console.print(curve)
    console.print(f"{found['pages']:,} pages of {found['chars_per_page']:,.0f} characters need, in bytes")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "in all", "a page"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, value in found["bytes"].items():
        table.add_row(_WHAT[name], _short(value), f"{value / found['pages']:,.0f}")
    console.print(table)
    worker, heap = (found["memory_per_core"][name] for name in ("python_worker", "jvm_heap"))
    console.print(
        f"Memory of dedup, for each core, however many pages: a Python worker of up to {_short(worker)}, and "
        f"{_short(heap)} of the JVM's heap. docs/scaling.md tells what this was measured on."
    )


def _short(number: float) -> str:
    for unit, name in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:,.0f} B"
