"""The demonstration: a corpus from the pages that come with this package."""

from typing import Annotated

import typer

from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import JsonOption, command
from swallow_spark.commands.stages import OnWarcs, build
from swallow_spark.errors import SwallowSparkError

with on_first_use():
    from swallow_spark.config import load as configs

_EXAMPLE = "https://www.aozora.gr.jp/cards/000148/files/763_763.html"
"""A page that is kept, has near-duplicates and is in a subset."""


@command("demo", "Build a corpus")
def demo(
    directory: Annotated[
        str, typer.Argument(metavar="[DIR]", help="The corpus to make.", show_default=True)
    ] = "demo-corpus",
    as_json: JsonOption = False,
) -> None:
    """Build a small corpus from 1,246 records of real pages that come with this package. Takes about half a minute on
    two cores; the first time longer, since kernels are compiled. Then says what to try next."""
    pages = sorted(map(str, configs.demo_pages().glob("*.warc.gz")))
    if not pages:
        raise SwallowSparkError(
            f"{configs.demo_pages()}: the demonstration's pages are missing: install the package again"
        )
    build(OnWarcs(command="demo", corpus=directory, config="demo", as_json=as_json), pages, "demo")
    if not as_json:
        typer.echo(
            f"""
What to try next:
  open {directory}/report/index.html in a browser
  swallow-spark explain --corpus {directory} --url {_EXAMPLE}
  swallow-spark decide --corpus {directory} --preset swallow-v1     # other rules: no text is read
  swallow-spark export --corpus {directory} --subset wiki-top10 --format jsonl.zst --output demo-texts
  swallow-spark init my.toml                                   # a configuration of your own""",
            err=True,
        )
