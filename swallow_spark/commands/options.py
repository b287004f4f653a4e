"""The options that commands share, and how results are printed."""

import json
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from swallow_spark.pipeline import STAGES

DEFAULT_CONFIG: Final = "swallow-v2"

CorpusOption = Annotated[str, typer.Option("--corpus", metavar="DIR", help="The corpus: a directory or a URI.")]
CrawlOption = Annotated[str, typer.Option("--crawl", metavar="NAME", help="The crawl that the inputs belong to.")]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A configuration file or a packaged one (demo, swallow-v1, swallow-v2). "
        f"Default: that of the corpus's last run, else {DEFAULT_CONFIG}.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override an entry of the configuration; repeatable."),
]
MasterOption = Annotated[
    str | None,
    typer.Option("--master", metavar="URL", help="The cluster. Default: what spark-submit gives, else local[*,4]."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object on standard output.")]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files, globs, http(s):// or s3:// URLs, listings of them (*.paths, *.paths.gz, *.txt), "
        "or cc:CC-MAIN-YYYY-WW.",
        show_default=False,
    ),
]

BaseUrlOption = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Where Common Crawl's files are: http(s)://, s3:// or a directory."),
]
FilesOption = Annotated[
    str | None, typer.Option("--files", metavar="FROM:TO", help="Which lines of the crawl's warc.paths, as in 0:100.")
]

IndexOption = Annotated[
    str | None,
    typer.Option(
        "--index",
        metavar="PATH",
        help="Fetch only the Japanese pages that Common Crawl's columnar index names: Parquet files, a directory or "
        "listing of them, local or remote, or cc:CC-MAIN-YYYY-WW.",
    ),
]
HostsOption = Annotated[
    list[str] | None,
    typer.Option("--hosts", metavar="PATTERN", help="Of these only, by the index, as in '*.ac.jp'; repeatable."),
]
UrlsOption = Annotated[
    list[str] | None,
    typer.Option("--urls", metavar="PATTERN", help="As in 'https://*/blog/*'; repeatable; with --hosts, both hold."),
]


def _known_end(name: str) -> str:
    if name not in STAGES.ends:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, STAGES.ends))}.")
    return name


UntilOption = Annotated[
    str,
    typer.Option(
        "--until",
        metavar="STAGE",
        callback=_known_end,
        help=f"Go no further, and do only what that needs: {', '.join(STAGES.ends)}.",
    ),
]


def show(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(values)
    else:
        Console(highlight=False).print_json(json.dumps(values, ensure_ascii=False))


def print_json(values: dict[str, Any]) -> None:
    typer.echo(json.dumps(values, ensure_ascii=False))
