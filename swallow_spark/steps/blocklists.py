"""The configured lists of domains and URLs, as tables that Spark reads."""

import hashlib
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from swallow_spark.kernels import blocklists as kernel
from swallow_spark.kernels.blocklists import Source
from swallow_spark.sections.decide import Rules
from swallow_spark.steps.run import Run


def blocklists(run: Run) -> tuple[DataFrame, DataFrame | None]:
    """The listed domains, and the listed prefixes of URLs if there are any."""
    hosts, urls = sources(run.config.rules)
    domains = _table(run, "domains", hosts, kernel.domains, kernel.DOMAINS)
    return domains, _table(run, "prefixes", urls, kernel.prefixes, kernel.PREFIXES) if urls else None


def sources(rules: Rules) -> tuple[list[Source], list[Source]]:
    """The lists of domains and of URL prefixes that the rules name, with the reasons that they give: `host:CATEGORY`
    and `url:CATEGORY`, or `host:blocked` and `url:blocked` where they have no category."""
    hosts = [Source("\n".join(rules.hosts).encode(), "host:blocked")] if rules.hosts else []
    hosts += [Source(path.read_bytes(), "host:blocked") for path in rules.host_lists]
    urls = [Source("\n".join(rules.url_prefixes).encode(), "url:blocked")] if rules.url_prefixes else []
    urls += [Source(path.read_bytes(), "url:blocked") for path in rules.url_lists]
    for blocklist in rules.blocklists:
        for category, path in blocklist.files("domains").items():
            hosts.append(Source(path.read_bytes(), f"host:{category}"))
        for category, path in blocklist.files("urls").items():
            urls.append(Source(path.read_bytes(), f"url:{category}"))
    return hosts, urls


def _table(
    run: Run, name: str, lists: Sequence[Source], parse: Callable[[Sequence[Source]], pa.Table], schema: pa.Schema
) -> DataFrame:
    """A table below the corpus, where executors see it; written once for the same content of the lists."""
    root, digest = run.corpus.root, hashlib.sha256(str(kernel.VERSION).encode())
    for source in lists:
        digest.update(hashlib.sha256(source.content).digest() + source.reason.encode() + b"\n")
    path = f"blocklists/{name}-{digest.hexdigest()[:32]}.parquet"
    if not root.exists(path):
        sink = pa.BufferOutputStream()
        pq.write_table(parse(lists), sink, compression="zstd")
        root.write_atomically(path, sink.getvalue().to_pybytes())
    return run.spark.read.schema(from_arrow_schema(schema)).parquet(root.spark_path(path))
