"""What a data card says, from manifests and configuration alone: no table is read."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from swallow_spark.config.load import Config
from swallow_spark.config.select import BUILT_IN_SUBSETS
from swallow_spark.corpus.corpus import Corpus, Manifest
from swallow_spark.corpus.summary import summarise
from swallow_spark.errors import UsageError
from swallow_spark.kernels.features import LISTS
from swallow_spark.report.finished import without_secrets


def facts(corpus: Corpus, config: Config, subsets: Sequence[str], export: Mapping[str, Any] | None) -> dict[str, Any]:
    """As plain JSON. subsets: which ones the card is of; none named: all. export: the manifest of an export
    that the card is of. Raises UsageError for a subset that isn't there."""
    summary = summarise(corpus, config.rules.preset, config.classifiers)
    exported = export["subsets"] if export else {}
    known = {**summary.get("subsets", {}), **_built_in(summary)}
    if unknown := [name for name in subsets if name not in known and name not in exported]:
        there = ", ".join(known) or "none"
        raise UsageError(f"--subset {unknown[0]}: {corpus.root.location} has no such subset (there are: {there})")
    own = exported or {name: known[name] for name in subsets or summary.get("subsets", {})}
    return {
        "corpus": without_secrets(corpus.root.location).rstrip("/").rpartition("/")[2],
        "made": _made(corpus),
        "counts": {key: summary[key] for key in _COUNTS if key in summary},
        "subsets": {name: {key: of[key] for key in _SIZES if key in of} for name, of in own.items()},
        "format": export["format"] if export else "parquet",
        "tokenizer": export["tokenizer"] if export else None,
        "samples": {name: of["sample"] for name, of in exported.items() if of["sample"]},
        "columns": export["columns"] if export else None,
        "sources": _sources(corpus),
        "passed_over": summary["passed_over"],
        "failures": summary["failures"],
        "removed": summary.get("removed"),
        "method": _method(config, summary),
        "checksums": _checksums(corpus, own, export),
    }


_COUNTS: Final = ("records", "pages", "pages_characters", "duplicates", "survivors", "accepted", "accepted_characters")
_SIZES: Final = ("documents", "characters", "tokens", "bytes")


def _built_in(summary: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """What dedup keeps and what the rules accept, of which texts can be exported too."""
    keys = {name: {"documents": name, "characters": f"{name}_characters"} for name in BUILT_IN_SUBSETS}
    return {
        name: {key: summary[of] for key, of in sizes.items() if of in summary}
        for name, sizes in keys.items()
        if name in summary
    }


def _made(corpus: Corpus) -> dict[str, Any]:
    units = [m for stage in ("ingest", "deduplicate", "decide", "score", "select") for m in corpus.manifests(stage)]
    return {
        "versions": sorted({unit.version for unit in units}),
        "first": min((f"{unit.finished:%Y-%m-%d}" for unit in units), default=""),
        "last": max((f"{unit.finished:%Y-%m-%d}" for unit in units), default=""),
    }


def _sources(corpus: Corpus) -> list[dict[str, Any]]:
    found = []
    for name in corpus.crawls().values():
        files = corpus.inputs(name)
        units = corpus.manifests("ingest", f"crawl={name}/")
        found.append(
            {
                "crawl": name,
                "files": len(files),
                "bytes": sum(max(0, file.bytes) for file in files),
                "formats": sorted({file.format for file in files}),
                "from": sorted({_place(file.path) for file in files})[:5],
                "records": sum(unit.counts.get("records", 0) for unit in units),
                "pages": sum(unit.counts.get("page", 0) for unit in units),
            }
        )
    return found


def _place(path: str) -> str:
    """The server or bucket of an input; nothing of local paths, which say more of a machine than of the data."""
    scheme, separator, rest = without_secrets(path).partition("://")
    return f"{scheme}://{rest.partition('/')[0]}" if separator and scheme != "file" else "local files"


def _method(config: Config, summary: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the stages that have run."""
    sketch, dedup, rules = config.sketch, config.dedup, config.rules
    method: dict[str, Any] = {}
    if "survivors" in summary:
        method["dedup"] = {
            "shingle_chars": sketch.shingle_chars,
            "bands": sketch.bands,
            "rows_per_band": sketch.rows_per_band,
            "policy": dedup.policy,
            "prefer": dedup.prefer,
            "min_similarity": dedup.min_similarity,
        }
    if "accepted" in summary:
        method["rules"] = {
            "preset": rules.preset,
            "bounds": {name: bound.model_dump(exclude_none=True) for name, bound in rules.bounds.items()},
            "not_measured": [n for n in rules.bounds if LISTS.get(n) and LISTS[n] not in config.features.lists],
            "hosts": list(rules.hosts),
            "rejected": summary["rejected"],
        }
    if "scores" in summary:
        method["classifiers"] = {
            name: {
                "sha256": of.content,
                "kind": of.kind,
                "weights": {label.removeprefix("__label__"): weight for label, weight in of.weights.items()},
            }
            for name, of in config.classifiers.items()
            if name in summary["scores"]
        }
    if "thresholds" in summary:
        method["thresholds"] = summary["thresholds"]
        method["cleanup"] = {"mode": config.cleanup.mode, "mask": list(config.cleanup.mask)}
    if config.decontamination.against:
        method["decontamination"] = {
            "against": [without_secrets(one.location).rpartition("/")[2] for one in config.decontamination.against],
            "rejected_from": config.decontamination.rejected_from,
        }
    return method


def _checksums(corpus: Corpus, subsets: Mapping[str, Any], export: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Of the files that hold the subsets: SHA-256 of an export's, CRC-32 of a corpus's. A corpus may have thousands: no
    more than the first hundred, with the number of all in the Markdown."""
    if export:
        return [
            {"file": shard["file"], "sha256": shard["sha256"]}
            for of in export["subsets"].values()
            for shard in of["shards"]
        ]
    tables = {f"subsets/{name}" for name in subsets}
    units: list[Manifest] = corpus.manifests("select", "crawl=")
    files = [file for unit in units for file in unit.files if file.table in tables]
    return [{"file": file.path, "crc32": f"{file.crc32:08x}"} for file in files if file.crc32 is not None]
