"""Choosing pages by their scores, and exporting them for training."""

import json
import re
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Final

from rich.console import Console

from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import Call, OnCorpus, ReplaceOption, command, option
from swallow_spark.commands.running import running
from swallow_spark.commands.tables import print_json, show_bands, show_export, show_mixture
from swallow_spark.errors import UsageError

with on_first_use():
    from swallow_spark import pipeline
    from swallow_spark.config import select as selecting
    from swallow_spark.files import storage
    from swallow_spark.report.card import facts, markdown
    from swallow_spark.stages.export import built_in
    from swallow_spark.stages.export import mixture as mixtures
    from swallow_spark.stages.export import step as exporting

if TYPE_CHECKING:
    from swallow_spark.stages.run import Run

FormatOption = Annotated[str, option("--format", "jsonl.zst|parquet", "Format of the shards.")]
ShardSizeOption = Annotated[
    str, option("--shard-size", "SIZE", "Text in a shard before compression, at 3 bytes a character.")
]
SeedOption = Annotated[int, option("--seed", "N", "Seed of the sample.", min=0)]

_SIZES: Final = {"": 0, "K": 1, "M": 2, "G": 3}


@command("select", "Single stages", "--corpus my-corpus")
def select(
    call: OnCorpus,
    thresholds: Annotated[
        str | None, option("--thresholds", "FILE", "Use the scores in this thresholds.json instead of shares.")
    ] = None,
    replace: ReplaceOption = False,
) -> None:
    """Write the top-k% subsets, with their texts."""
    if thresholds:
        try:
            call = call.overriding(as_override(storage.fetch(thresholds)))
        except ValueError as error:
            raise UsageError(f"--thresholds {thresholds}: {error}") from None
    with running(call, replaces=replace) as run:
        pipeline.do(run, {"subsets"})
        call.result["bands"] = _bands(run)
        if run.config.selection.thresholds:
            call.show(show_bands, call.result["bands"])


def as_override(content: bytes) -> str:
    """The content of a thresholds.json as an override of the configuration. Raises ValueError for other content."""
    points = selecting.points_of(content)
    quoted = (
        f"{json.dumps(name)}={{{', '.join(f'{json.dumps(share)}={score!r}' for share, score in of.items())}}}"
        for name, of in points.items()
    )
    return f"selection.thresholds={{{', '.join(quoted)}}}"


def _bands(run: "Run") -> dict[str, dict[str, dict[str, Any]]]:
    """ranking -> top-k band -> its last score, its documents, and the number of ranked documents (`of`)."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for manifest in run.corpus.manifests("select", "cuts"):
        for cut in manifest.details["cuts"]:
            upper, lower = ((cut[edge] or {}).get("documents", 0) for edge in ("upper", "lower"))
            documents, of = max(0, lower - upper), cut["documents"]
            values = {"score": (cut["lower"] or {}).get("score"), "documents": documents, "of": of}
            found.setdefault(cut["ranking"], {})[cut["band"]] = values
    return found


@command("export", "Take text out", "--corpus my-corpus --subset edu-top10 --format jsonl.zst --output out")
def export_(
    call: OnCorpus,
    subset: Annotated[
        list[str],
        option(
            "--subset",
            "NAME",
            "Subset to export; repeatable. survivors (the pages that dedup keeps) and accepted (those of them that "
            "the rules accept) need no [[subsets]]; stages that they lack are done first.",
        ),
    ],
    output: Annotated[str, option("--output", "DIR", "Directory or URI for this export alone.")],
    format_: FormatOption = "parquet",
    shard_size: ShardSizeOption = "256M",
) -> None:
    """Write subsets as shards for training. Adds a manifest with checksums and, if configured, token counts."""
    size = _parse_size(shard_size)
    exporting.check_format(format_)
    exporting.check_shard_bytes(size)
    if len(set(subset)) < len(subset):
        raise UsageError("--subset: the same subset is given twice")
    with running(call, stands=False) as run:
        _make_built_in(run, subset)
        manifest = exporting.export(run, [exporting.Item(name, name) for name in subset], output, format_, size, 0, {})
        _report_export(call, run, manifest, output)


def _make_built_in(run: "Run", names: Iterable[str]) -> None:
    """Does what is missing of the stages that decide on the pages of the built-in subsets."""
    for name in names:
        if name in built_in.MADE_BY:
            pipeline.do(run, run.stages.needed(built_in.MADE_BY[name]))


@command("plan-mixture", "Take text out", "--target-tokens 100B --subset edu-top10:60B --external code:20B=20%")
def plan_mixture_(
    call: Call,
    target_tokens: Annotated[str, option("--target-tokens", "N", "Tokens of the training run, as 709.22B or 100e9.")],
    subset: Annotated[
        list[str] | None,
        option(
            "--subset",
            "NAME[:TOKENS][=SHARE]",
            "Subset of the corpus; its tokens are counted unless given. Sources without a share divide the rest.",
        ),
    ] = None,
    external: Annotated[
        list[str] | None, option("--external", "NAME:TOKENS=SHARE", "Other data, as wikipedia:1.2B=5%.")
    ] = None,
    proxy_tokens: Annotated[
        str | None, option("--proxy-tokens", "N", "Tokens of a smaller run: plan samples for equal epochs.")
    ] = None,
    corpus: Annotated[str | None, option("--corpus", "DIR", "To count tokens and to export.")] = None,
    output: Annotated[str | None, option("--output", "DIR", "Export the subsets of the mixture, sampled.")] = None,
    format_: FormatOption = "parquet",
    shard_size: ShardSizeOption = "256M",
    seed: SeedOption = 1,
) -> None:
    """Plan a mixture of training data. Prints how often training reads each source; --output exports the mixture."""
    target, proxy = mixtures.parse_tokens(target_tokens), mixtures.parse_tokens(proxy_tokens) if proxy_tokens else None
    if proxy and proxy > target:
        raise UsageError("--proxy-tokens: must not be more than --target-tokens")
    sources = [mixtures.parse_source(text, external=False) for text in subset or ()]
    sources += [mixtures.parse_source(text, external=True) for text in external or ()]
    if not sources:
        raise UsageError("plan-mixture: give --subset or --external")
    size = _parse_size(shard_size)
    exporting.check_format(format_)
    exporting.check_shard_bytes(size)
    unknown = [source.name for source in sources if source.tokens is None]
    if not corpus and (output or unknown):
        what = (
            "--output: " if output else f"--subset {unknown[0]}: give its tokens, as {unknown[0]}:93.1B; otherwise it "
        )
        raise UsageError(f"{what}needs --corpus")
    if not unknown and not output:
        mixture = _as_json(mixtures.plan_mixture(sources, target, proxy), target, proxy)
        show_mixture(Console(stderr=True, highlight=False), mixture)
        if call.as_json:
            print_json(mixture)
        return
    assert corpus
    on_corpus = call.on(corpus)
    with running(on_corpus, stands=False) as run:
        planned = mixtures.plan_mixture(mixtures.with_tokens(run, sources), target, proxy)
        mixture = _as_json(planned, target, proxy)
        on_corpus.result.update(mixture)
        on_corpus.show(show_mixture, mixture)
        if output:
            _make_built_in(run, [one.name for one in planned if not one.external])
            manifest = mixtures.export_mixture(run, planned, target, proxy, output, format_, size, seed)
            _report_export(on_corpus, run, manifest, output)


def _as_json(planned: "list[mixtures.Planned]", target: int, proxy: int | None) -> dict[str, Any]:
    values = {"target_tokens": target, "proxy_tokens": proxy, "sources": [one.told() for one in planned]}
    return {**values, "warnings": mixtures.warnings(planned)}


def _report_export(call: Call, run: "Run", manifest: dict[str, Any], output: str) -> None:
    """Writes the data card beside the export, and adds what was exported to the call's output, without the list of
    shards."""
    card = markdown.markdown(facts.facts(run.corpus, run.config, (), manifest))
    storage.Root(output).write_atomically("README.md", card.encode("utf-8", "replace"))
    subsets = {
        name: {key: value for key, value in of.items() if key != "shards"} | {"shards": len(of["shards"])}
        for name, of in manifest["subsets"].items()
    }
    call.result["export"] = {"output": output, "subsets": subsets}
    call.show(show_export, call.result["export"], manifest.get("tokenizer"))


def _parse_size(text: str) -> int:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMG]?)(?:i?B)?", text, re.IGNORECASE)
    if not match:
        raise UsageError(f"--shard-size {text}: not a size such as 256M or 1G")
    return int(Fraction(match[1]) * 1024 ** _SIZES[match[2].upper()])
