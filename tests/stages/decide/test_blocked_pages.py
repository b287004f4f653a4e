"""Hosts and URLs against blocklists in Catalyst: what the kernel finds page by page."""

import itertools
import re
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from runs import settings

from swallow_spark.config.load import load
from swallow_spark.kernels.html.urls import host_of
from swallow_spark.kernels.text import blocklists
from swallow_spark.stages.decide import lists, step
from swallow_spark.stages.decide import tasks as stage
from swallow_spark.stages.decide.lists import Source

DOMAINS = [
    Source("listed.example\nco.jp\n日本語.jp\n.".encode(), "host:blocked"),
    Source(b"listed.example\nwww.deep.example\n", "host:adult"),
]
PREFIXES = [
    Source("pages.example/~a\nhttp://www.pages.example/cgi?id=3\n日本語.jp/あ\n".encode(), "url:adult"),
    Source(b"pages.example/~a/b/\npages.example/dir//x\nhttps://only.example\n", "url:games"),
]
HOSTS = [
    "listed.example",
    "A.Listed.example",
    "deep.example",
    "www.deep.example.",
    "x.co.jp",
    "日本語.jp",
    "..",
    "",
    None,
]
HOSTS += ["xn--wgv71a119e.jp", "sub.xn--wgv71a119e.jp"]
NAMES = ["pages.example", "www.pages.example:8080", "user:pw@PAGES.example", "x.pages.example", "only.example"]
PATHS = [
    "",
    "/",
    "/~a",
    "/~A/b",
    "/~a/b/c?d",
    "/~ab",
    "/cgi",
    "/cgi?id=3",
    "/cgi?id=3#x",
    "/cgi?id=3/4",
    "/dir//x/y",
    "?q",
]
URLS = [f"https://{name}{path}" for name, path in itertools.product(NAMES, PATHS)]
URLS += [
    "http://日本語.jp/あ/い",
    "HTTP://xn--wgv71a119e.jp/あ#い",
    "https:///~a",
    "pages.example",
    "x" * 5000 + "/" * 5000,
]


def test_hosts_as_the_kernel_finds_them(spark: SparkSession) -> None:
    domains = lists.domains(DOMAINS)
    frame = spark.createDataFrame([(host,) for host in HOSTS], "host string")
    found = stage.blocked_hosts(frame, spark.createDataFrame(domains)).collect()
    nothing = lists.PREFIXES.empty_table()
    expected = {host: blocklists.reasons(host, None, domains, nothing) for host in HOSTS}
    assert {row.host: row.reasons for row in found} == {host: reasons for host, reasons in expected.items() if reasons}
    assert expected["A.Listed.example"] == ["host:adult", "host:blocked"]
    assert len(found) == 7


def test_urls_as_the_kernel_finds_them(spark: SparkSession) -> None:
    prefixes = lists.prefixes(PREFIXES)
    rows = [(number, host_of(url), url) for number, url in enumerate(URLS)] + [(-1, None, None)]
    pages = spark.createDataFrame(rows, "doc_id long, host string, url string")
    found = stage.blocked_urls(pages, spark.createDataFrame(prefixes)).collect()
    nothing = lists.DOMAINS.empty_table()
    expected = {url: blocklists.reasons(None, url, nothing, prefixes) if host_of(url) else [] for url in URLS}
    assert {URLS[row.doc_id]: row.reasons for row in found} == {
        u: reasons for u, reasons in expected.items() if reasons
    }
    assert expected["https://www.pages.example:8080/~a/b/c?d"] == ["url:adult", "url:games"]
    assert expected["https://pages.example/~ab"] == []


def test_no_url_is_read_but_of_listed_hosts(spark: SparkSession) -> None:
    empty = spark.createDataFrame(lists.PREFIXES.empty_table())
    pages = spark.createDataFrame(pa.table({"doc_id": [1], "host": ["a.jp"], "url": ["http://a.jp/"]}))
    assert stage.blocked_urls(pages, empty).collect() == []


def test_only_so_many_hosts_are_broadcast(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    run: Any = SimpleNamespace(spark=spark)
    domains = spark.createDataFrame(lists.domains(DOMAINS))
    rules = load("swallow-v2", ["rules.bounds={}"]).rules
    rows = spark.createDataFrame(
        [(n, host, 9) for n, host in enumerate(HOSTS)], "doc_id long, host string, num_chars int"
    )
    found = []
    with settings(spark, {"spark.sql.autoBroadcastJoinThreshold": "-1"}):
        for most, joins in ((7, "BroadcastHashJoin"), (6, "SortMergeJoin")):
            monkeypatch.setattr(step, "_MOST_BROADCAST", most)
            hosts = step._blocked_hosts(run, rows, domains)
            assert hosts.count() == 7
            verdicts = stage.decide(rows, rows.select("doc_id"), rules, hosts=hosts)
            plan = verdicts._jdf.queryExecution().toString().partition("== Physical Plan ==")[2]  # type: ignore[operator]
            assert re.findall(r"\w+Join \[host", plan)[:1] == [f"{joins} [host"], plan
            found.append(sorted(verdicts.collect()))
    assert found[0] == found[1]
    assert sum(row.reasons == ["host:adult", "host:blocked"] for row in found[0]) == 2
