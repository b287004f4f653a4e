"""The configured lists of domains and URLs, as tables that Spark reads."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from swallow_spark.config.decide import Rules
from swallow_spark.kernels.text import blocklists as kernel
from swallow_spark.stages.decide import lists as formats
from swallow_spark.stages.decide.lists import Source
from swallow_spark.stages.decide.tasks import BLOCKED
from swallow_spark.stages.run import Run

_MOST_OWN: Final = 100  # domains compared one by one


class Blocklists(NamedTuple):
    """The listed domains with their reasons, and the listed prefixes of URLs; None without a list. `own`: the domains
    that the configuration itself names, if they are too few for a table."""

    own: list[str]
    domains: DataFrame | None
    prefixes: DataFrame | None


def blocklists(run: Run) -> Blocklists:
    own, lists, urls = sources(run.config.rules)
    names: list[str] = formats.domains([own])["domain"].to_pylist()
    if len(names) > _MOST_OWN:
        names, lists = [], [own, *lists]
    domains = _table(run, "domains", lists, formats.domains) if lists else None
    prefixes = _table(run, "prefixes", urls, formats.prefixes) if urls else None
    for path in run.corpus.root.files("blocklists", ".parquet"):
        if path not in (domains, prefixes):  # of other lists
            run.corpus.root.delete(path)
    return Blocklists(
        sorted(names),
        run.corpus.read_files(run.spark, formats.DOMAINS, [domains]) if domains else None,
        run.corpus.read_files(run.spark, formats.PREFIXES, [prefixes]) if prefixes else None,
    )


def sources(rules: Rules) -> tuple[Source, list[Source], list[Source]]:
    """The domains that the rules name, and the lists of domains and of URL prefixes, with their reasons:
    `host:CATEGORY` and `url:CATEGORY`, or `host:blocked` and `url:blocked` for lists without a category."""
    hosts = [Source(path.read_bytes(), BLOCKED) for path in rules.host_lists]
    urls = [Source("\n".join(rules.url_prefixes).encode(), "url:blocked")] if rules.url_prefixes else []
    urls += [Source(path.read_bytes(), "url:blocked") for path in rules.url_lists]
    for blocklist in rules.blocklists:
        hosts += [Source(path.read_bytes(), f"host:{name}") for name, path in blocklist.files("domains").items()]
        urls += [Source(path.read_bytes(), f"url:{name}") for name, path in blocklist.files("urls").items()]
    return Source("\n".join(rules.hosts).encode(), BLOCKED), hosts, urls


def _table(run: Run, name: str, lists: Sequence[Source], parse: Callable[[Sequence[Source]], pa.Table]) -> str:
    """The path of a table below the corpus, where executors can read it; written once for the same lists."""
    root, digest = run.corpus.root, hashlib.sha256(str(kernel.VERSION).encode())
    for source in lists:
        digest.update(hashlib.sha256(source.content).digest() + source.reason.encode() + b"\n")
    path = f"blocklists/{name}-{digest.hexdigest()[:32]}.parquet"
    if not root.exists(path):
        sink = pa.BufferOutputStream()
        pq.write_table(parse(lists), sink, compression="zstd")
        root.write_atomically(path, sink.getvalue().to_pybytes())
    return path
