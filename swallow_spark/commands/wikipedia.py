"""Training text out of Wikipedia."""

from pathlib import Path
from typing import Annotated

import typer

from swallow_spark.commands.options import JsonOption, MasterOption, show
from swallow_spark.errors import UsageError
from swallow_spark.files.storage import Root
from swallow_spark.session.session import open_session
from swallow_spark.training.wikipedia.step import Dump, check, read_categories, write_positives

app = typer.Typer()


@app.command("wiki-positives")
def wiki_positives(
    pages: Annotated[
        Path,
        typer.Option("--pages", metavar="FILE", help="pages-articles .xml.bz2; or .parquet: text, title, categories."),
    ],
    categories: Annotated[Path, typer.Option("--categories", metavar="FILE", help="Root categories, one a line.")],
    output: Annotated[str, typer.Option("--output", metavar="DIR", help="A new directory of Parquet files, or a URI.")],
    categorylinks: Annotated[
        Path | None, typer.Option("--categorylinks", metavar="FILE", help="The dump's categorylinks .sql.gz.")
    ] = None,
    linktarget: Annotated[
        Path | None, typer.Option("--linktarget", metavar="FILE", help="Its linktarget .sql.gz (dumps from 2025 on).")
    ] = None,
    depth: Annotated[int, typer.Option("--depth", min=0, max=20, help="How far to follow subcategories.")] = 0,
    min_chars: Annotated[int, typer.Option("--min-chars", min=1, help="Shorter articles are left out.")] = 200,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Wikipedia articles of some categories, as positives for `train --task wiki`."""
    dump = Dump(pages, categorylinks, linktarget)
    check(dump)
    roots = read_categories(categories)
    if depth and pages.suffix == ".parquet":
        raise UsageError("--depth: a Parquet file of articles doesn't tell what is below a category")
    root = Root(output)
    if root.files(""):
        raise UsageError(f"--output {output}: there are files in it; give a directory of its own")
    root.make_directory("")
    try:
        done = write_positives(
            open_session("swallow-spark wiki-positives", master), dump, roots, depth, min_chars, root
        )
    except BaseException:
        root.delete("")
        raise
    show({**done, "output": output}, as_json)
