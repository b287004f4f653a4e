"""Exports: subsets, configured or built in, or samples of them, as shards with a manifest and checksums. An interrupted
export is resumed."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final, NamedTuple

import pyarrow as pa
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark import __version__
from swallow_spark.config.select import BUILT_IN_SUBSETS
from swallow_spark.corpus.corpus import Manifest, lineage
from swallow_spark.errors import UsageError
from swallow_spark.files.storage import Root
from swallow_spark.kernels.order import sampling
from swallow_spark.stages.export import tasks as stage
from swallow_spark.stages.export.built_in import find_built_in, ship_built_in
from swallow_spark.stages.run import Run
from swallow_spark.stages.select import cuts
from swallow_spark.stages.select.step import selected
from swallow_spark.stages.tokens.step import subset_tokens
from swallow_spark.tables import BYTES_PER_FILE_NO, SUBSETS, pack_doc_id

MANIFEST: Final = "manifest.json"
_STATE: Final = "export.json"
_LEAST_SHARD: Final = 1 << 20
_MOST_SHARD: Final = 1 << 30  # a task holds a whole shard's texts if all row groups overlap


class Item(NamedTuple):
    """The content of the directory `name`: a subset, or a sample of it."""

    name: str
    subset: str
    share: Fraction = Fraction(1)


def check_format(name: str) -> None:
    """Raises UsageError for an unknown format of shards."""
    if name not in stage.FORMATS:
        raise UsageError(f"--format {name}: it is one of {', '.join(stage.FORMATS)}")


def check_shard_bytes(size: int) -> None:
    """Raises UsageError for a size of shards that isn't allowed."""
    if not _LEAST_SHARD <= size <= _MOST_SHARD:
        raise UsageError(f"--shard-size {size}: must be 1MiB to 1GiB of text")


def export(
    run: Run, items: Sequence[Item], output: str, format_: str, shard_bytes: int, seed: int, also: dict[str, Any]
) -> dict[str, Any]:
    """Writes the items as shards of about `shard_bytes` of text below `output`; the manifest, which includes `also`.

    Raises UsageError if a subset is missing or out of date, or `output` holds something else.
    """
    check_format(format_)
    check_shard_bytes(shard_bytes)
    names = list(dict.fromkeys(item.subset for item in items))
    built_in = {name: find_built_in(run, name) for name in names if name in BUILT_IN_SUBSETS}
    own = [name for name in names if name not in built_in]
    chosen = selected(run, own) if own else None
    counted = {name: subset_tokens(run, name) for name in own} if run.config.tokens.counting else {}
    texts = run.corpus.manifests("select", "crawl=") if own else []
    target = Root(output)
    units = [*([chosen] if chosen else []), *texts, *(manifest for of in counted.values() for manifest in of)]
    state = {
        "texts": lineage(units, *(one.content for one in built_in.values())),
        "items": [[item.name, item.subset, str(item.share)] for item in items],
        "format": format_,
        "shard_bytes": shard_bytes,
        "seed": seed,
        "version": __version__,
    }
    _begin(target, state)
    if target.exists(MANIFEST):
        return dict(json.loads(target.read_bytes(MANIFEST)))
    planned: dict[Item, list[stage.Shard]] = {}
    columns: dict[str, None] = {}
    scores = tuple(f"score_{name}" for name in run.config.plan.classifiers) if own else ()
    settings = stage.Export(run.corpus.root, target, format_, scores, run.config.tokens.counting, seed)
    with ExitStack() as shipped:
        pages = {name: shipped.enter_context(ship_built_in(run, one)) for name, one in built_in.items()}
        shipped.enter_context(run.progress.stage("export"))
        for name in names:
            of = replace(settings, scores=(), pages=pages[name]) if name in pages else settings
            columns |= dict.fromkeys(of.schema.names)
            for item in items:
                if item.subset == name:
                    planned[item] = _plan(run, item, of, shard_bytes, texts, counted.get(name, []))
            wanted = [shard for item in items if item.subset == name for shard in planned[item]]
            stage.write_shards(run.spark, of, [shard for shard in wanted if not _is_written(of, shard)])
    shards = [shard for item in items for shard in planned[item]]
    notes = {shard: json.loads(target.read_bytes(settings.note_of(shard))) for shard in shards}
    manifest: dict[str, Any] = {
        "program": f"swallow-spark {__version__}",
        "selection": chosen.fingerprint if chosen else None,
        "format": format_,
        "columns": list(columns),
        "tokenizer": run.config.tokens.title if run.config.tokens.counting else None,
        **also,
        "subsets": {item.name: _summary(item, seed, [notes[shard] for shard in planned[item]]) for item in items},
    }
    sums = "".join(f"{note['sha256']}  {note['file']}\n" for note in notes.values())
    target.write_atomically("SHA256SUMS", sums.encode())
    target.write_atomically(MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    target.delete("unfinished")
    return manifest


def _is_written(settings: stage.Export, shard: stage.Shard) -> bool:
    target, note = settings.target, settings.note_of(shard)
    if not (target.exists(note) and target.exists(shard.file)):
        return False
    return bool(json.loads(target.read_bytes(note))["bytes"] == target.size(shard.file))


def _begin(target: Root, state: dict[str, Any]) -> None:
    """Claims the directory: it must be empty, or hold the same export, begun or finished."""
    if target.exists(_STATE):
        if json.loads(target.read_bytes(_STATE)) != state:
            raise UsageError(f"--output {target.location}: holds another export: choose an empty directory")
        return
    if target.files(""):
        raise UsageError(f"--output {target.location}: neither empty nor an export: choose an empty directory")
    target.write_atomically(_STATE, json.dumps(state).encode())


def _plan(
    run: Run,
    item: Item,
    settings: stage.Export,
    shard_bytes: int,
    texts: Sequence[Manifest],
    tokens: Sequence[Manifest],
) -> list[stage.Shard]:
    """Shards of equal size, by doc_id."""
    corpus, table = run.corpus, f"subsets/{item.subset}"
    narrow = pa.schema([SUBSETS.field(name) for name in ("doc_id", "num_chars")])
    if settings.pages:
        table, texts = "pages", corpus.manifests("ingest")
    rows = corpus.read(run.spark, table, narrow, texts)
    if settings.pages:
        rows = stage.among(rows, settings.pages.members)
    if item.share < 1:
        rows = stage.sampled(rows, settings.seed, item.share)
    # All scores are equal, so the order is by doc_id alone.
    ordered = rows.select("doc_id", F.lit(0.0).alias("score"), F.col("num_chars").cast("long").alias("weight"))
    documents, characters = cuts.totals(ordered)
    if not documents:
        return []
    number = -(-characters * stage.BYTES_PER_CHAR // shard_bytes)
    targets = [cuts.num_above(Fraction(i, number), characters) for i in range(1, number + 1)]
    found = {cut.doc_id: cut for cut in cuts.cuts_after(ordered, targets) if cut}
    ends = sorted(found.values(), key=lambda cut: cut.documents)
    files = _files(run, texts, table), _files(run, tokens, f"tokens/{item.subset}")
    shards, after, documents, characters = list[stage.Shard](), -1, 0, 0
    for place, end in enumerate(ends):
        assert end.doc_id is not None
        name = f"{item.name}/{item.name}-{place:05}-of-{len(ends):05}.{settings.format}"
        own = [tuple(path for unit in units for path in unit.within(after, end.doc_id)) for units in files]
        size = (end.documents - documents, end.weight - characters)
        shards.append(stage.Shard(name, after, end.doc_id, *size, own[0], own[1], item.share))
        after, documents, characters = end.doc_id, end.documents, end.weight
    return shards


class _Files(NamedTuple):
    """A unit's files of a table, and the doc_ids that its batch of inputs can have."""

    first: int
    last: int
    paths: tuple[str, ...]

    def within(self, after: int, to: int) -> tuple[str, ...]:
        return self.paths if self.last > after and self.first <= to else ()


def _files(run: Run, units: Sequence[Manifest], table: str) -> list[_Files]:
    number_of = {f"crawl={name}": number for number, name in run.corpus.crawls().items()}
    covers = {pages.unit: pages.covers for pages in run.corpus.manifests("ingest")}
    found = []
    for unit in units:
        batch = unit.unit.partition("/")[2] if unit.stage == "tokens" else unit.unit
        crawl_no = number_of[batch.partition("/")[0]]
        paths = tuple(file.path for file in unit.files if file.table == table)
        if paths:
            first, last = min(first for first, _ in covers[batch]), max(last for _, last in covers[batch])
            last_doc_id = pack_doc_id(crawl_no, last, BYTES_PER_FILE_NO - 1)
            found.append(_Files(pack_doc_id(crawl_no, first, 0), last_doc_id, paths))
    return found


def _summary(item: Item, seed: int, notes: list[dict[str, Any]]) -> dict[str, Any]:
    keys = ("documents", "characters", *(["tokens"] if any("tokens" in note for note in notes) else []), "bytes")
    sample = {"share": str(item.share), "seed": seed, "hash": sampling.VERSION}
    return {
        "subset": item.subset,
        "sample": sample if item.share < 1 else None,
        **{key: sum(note[key] for note in notes) for key in keys},
        "shards": notes,
    }
