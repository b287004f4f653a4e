"""Choosing pages by their scores, and taking them to training."""

import json
import re
from fractions import Fraction
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swallow_spark import pipeline
from swallow_spark.commands.options import ConfigOption, CorpusOption, JsonOption, MasterOption, SetOption, print_json
from swallow_spark.commands.running import running
from swallow_spark.config.select import points_of
from swallow_spark.errors import UsageError
from swallow_spark.files.storage import fetch
from swallow_spark.stages.export.mixture import (
    Planned,
    export_mixture,
    parse_source,
    parse_tokens,
    plan_mixture,
    warnings,
    with_tokens,
)
from swallow_spark.stages.export.step import Item, check_format, check_shard_bytes, export
from swallow_spark.stages.run import Run

app = typer.Typer()

FormatOption = Annotated[str, typer.Option("--format", metavar="jsonl.zst|parquet", help="Of the shards.")]
ShardSizeOption = Annotated[
    str,
    typer.Option(
        "--shard-size", metavar="SIZE", help="Text of a shard before compression, about; 3 bytes a character."
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the sample.")]

_SIZES: Final = {"": 0, "K": 1, "M": 2, "G": 3}


@app.command()
def select(
    corpus: CorpusOption,
    config: ConfigOption = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            "--thresholds",
            metavar="FILE",
            help="A thresholds.json, of another month: its scores are the bar here, in the place of shares.",
        ),
    ] = None,
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """The top-k% subsets, with text."""
    overrides = [*(set_ or ()), *([thresholds_as_override(thresholds)] if thresholds else ())]
    also: dict[str, Any] = {}
    with running("select", corpus, config, overrides, master, as_json, also=also) as run:
        pipeline.do(run, {"subsets"})
        also["bands"] = _bands(run)
        if run.config.selection.thresholds:
            _show_bands(also["bands"], run.progress.console)


def thresholds_as_override(location: str) -> str:
    """A thresholds.json as an override of the configuration. Raises InputError or UsageError where it can't be read."""
    try:
        return as_override(fetch(location))
    except ValueError as error:
        raise UsageError(f"--thresholds {location}: {error}") from None


def as_override(content: bytes) -> str:
    """The content of a thresholds.json as an override of the configuration. Raises ValueError where it is none."""
    points = points_of(content)
    quoted = (
        f"{json.dumps(name)}={{{', '.join(f'{json.dumps(share)}={score!r}' for share, score in of.items())}}}"
        for name, of in points.items()
    )
    return f"selection.thresholds={{{', '.join(quoted)}}}"


def _bands(run: Run) -> dict[str, dict[str, dict[str, Any]]]:
    """ranking -> band -> its last score, its documents, and their part of all that are ranked."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for manifest in run.corpus.manifests("select", "cuts"):
        for cut in manifest.details["cuts"]:
            upper, lower = ((cut[edge] or {}).get("documents", 0) for edge in ("upper", "lower"))
            documents, of = max(0, lower - upper), cut["documents"]
            values = {"score": (cut["lower"] or {}).get("score"), "documents": documents, "of": of}
            found.setdefault(cut["ranking"], {})[cut["band"]] = values
    return found


def _show_bands(bands: dict[str, dict[str, dict[str, Any]]], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, title="By thresholds that were given", title_justify="left", pad_edge=False)
    for heading in ("ranking", "band", "from score", "documents", "of the accepted"):
        table.add_column(heading, justify="left" if heading in ("ranking", "band") else "right")
    for ranking, of in bands.items():
        for band, values in of.items():
            share = f"{values['documents'] / values['of']:.2%}" if values["of"] else ""
            table.add_row(ranking, band, f"{values['score']:.6g}", f"{values['documents']:,}", share)
    console.print(table)


@app.command("export")
def export_(
    corpus: CorpusOption,
    subset: Annotated[list[str], typer.Option("--subset", metavar="NAME", help="A subset; repeatable.")],
    output: Annotated[str, typer.Option("--output", metavar="DIR", help="Where to: a directory of its own, or a URI.")],
    format_: FormatOption = "parquet",
    shard_size: ShardSizeOption = "256M",
    config: ConfigOption = None,
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Subsets as shards of a given size, with a manifest and checksums; tokens are counted where that is configured."""
    size = _parse_size(shard_size)
    check_format(format_)
    check_shard_bytes(size)
    if len(set(subset)) < len(subset):
        raise UsageError("--subset: one is named twice")
    also: dict[str, Any] = {}
    with running("export", corpus, config, set_, master, as_json, also=also) as run:
        manifest = export(run, [Item(name, name) for name in subset], output, format_, size, 0, {})
        also["export"] = _show_export(manifest, output, run.progress.console)


@app.command("plan-mixture")
def plan_mixture_(
    target_tokens: Annotated[
        str, typer.Option("--target-tokens", metavar="N", help="To train on in all, as in 709.22B or 100e9.")
    ],
    subset: Annotated[
        list[str] | None,
        typer.Option(
            "--subset",
            metavar="NAME[:TOKENS][=SHARE]",
            help="One of ours; tokens are counted where they aren't told. Those without a share divide what is left.",
        ),
    ] = None,
    external: Annotated[
        list[str] | None,
        typer.Option("--external", metavar="NAME:TOKENS=SHARE", help="A corpus beside ours, as in wikipedia:1.2B=5%."),
    ] = None,
    proxy_tokens: Annotated[
        str | None,
        typer.Option(
            "--proxy-tokens", metavar="N", help="Of a smaller run: samples that it reads as often as the large one."
        ),
    ] = None,
    corpus: Annotated[
        str | None, typer.Option("--corpus", metavar="DIR", help="The corpus, to count tokens and to export.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", metavar="DIR", help="Export the mixture's part of ours, sampled.")
    ] = None,
    format_: FormatOption = "parquet",
    shard_size: ShardSizeOption = "256M",
    seed: SeedOption = 1,
    config: ConfigOption = None,
    set_: SetOption = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """How often each source of a training mixture is read, and the sampled export of it."""
    target, proxy = parse_tokens(target_tokens), parse_tokens(proxy_tokens) if proxy_tokens else None
    if proxy and proxy > target:
        raise UsageError("--proxy-tokens: a smaller run has fewer tokens than --target-tokens")
    sources = [parse_source(text, external=False) for text in subset or ()]
    sources += [parse_source(text, external=True) for text in external or ()]
    if not sources:
        raise UsageError("plan-mixture: give --subset or --external")
    size = _parse_size(shard_size)
    check_format(format_)
    check_shard_bytes(size)
    unknown = [source.name for source in sources if source.tokens is None]
    if not corpus and (output or unknown):
        what = "--output" if output else f"--subset {unknown[0]}"
        raise UsageError(f"{what}: needs --corpus{'' if output else f', or its tokens, as in {unknown[0]}:93.1B'}")
    if not unknown and not output:
        planned = plan_mixture(sources, target, proxy)
        _show_plan(planned, target, proxy, Console(stderr=True, highlight=False))
        if as_json:
            print_json(_told(planned, target, proxy))
        return
    assert corpus
    also: dict[str, Any] = {}
    with running("plan-mixture", corpus, config, set_, master, as_json, also=also) as run:
        planned = plan_mixture(with_tokens(run, sources), target, proxy)
        also |= _told(planned, target, proxy)
        _show_plan(planned, target, proxy, run.progress.console)
        if output:
            manifest = export_mixture(run, planned, target, proxy, output, format_, size, seed)
            also["export"] = _show_export(manifest, output, run.progress.console)


def _told(planned: list[Planned], target: int, proxy: int | None) -> dict[str, Any]:
    values = {"target_tokens": target, "proxy_tokens": proxy, "sources": [one.told() for one in planned]}
    return {**values, "warnings": warnings(planned)}


def _show_plan(planned: list[Planned], target: int, proxy: int | None, console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, title="Mixture", title_justify="left", pad_edge=False)
    headings = ["tokens", "share", f"of {_billions(Fraction(target))}", "epochs"]
    headings += [f"sample for {_billions(Fraction(proxy))}"] if proxy else []
    table.add_column("")
    for heading in headings:
        table.add_column(heading, justify="right")
    for one in planned:
        cells = [_billions(Fraction(one.tokens)), f"{float(one.share):.2%}", _billions(one.target)]
        cells += [f"{float(one.epochs):.2f}", *([_billions(one.sample)] if proxy else [])]
        table.add_row(Text(f"{one.name}{' (external)' if one.external else ''}"), *cells)
    console.print(table)
    for warning in warnings(planned):
        console.print(f"Warning: {warning}", markup=False, soft_wrap=True)


def _billions(tokens: Fraction) -> str:
    return f"{float(tokens) / 1e9:,.2f} B" if tokens >= 10**7 else f"{round(tokens):,}"


def _show_export(manifest: dict[str, Any], output: str, console: Console) -> dict[str, Any]:
    """Tells what was exported; the same without the single shards."""
    told = {}
    for name, of in manifest["subsets"].items():
        told[name] = {key: value for key, value in of.items() if key != "shards"} | {"shards": len(of["shards"])}
        line = f"{name}: {of['documents']:,} documents, {of['characters']:,} characters"
        tokens = f", {of['tokens']:,} tokens ({manifest['tokenizer']})" if "tokens" in of else ""
        console.print(f"{line}{tokens}, {len(of['shards'])} shards", markup=False, soft_wrap=True)
    console.print(f"Shards and manifest.json: {output}", markup=False, soft_wrap=True)
    return {"output": output, "subsets": told}


def _parse_size(text: str) -> int:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMG]?)(?:i?B)?", text, re.IGNORECASE)
    if not match:
        raise UsageError(f"--shard-size {text}: write it as 256M or 1G")
    return int(Fraction(match[1]) * 1024 ** _SIZES[match[2].upper()])
