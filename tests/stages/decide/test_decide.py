"""Verdicts of both presets against the rules applied one by one in Python, on made features."""

import math
import random
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from swallow_spark.config.decide import Bound
from swallow_spark.config.load import Config, load
from swallow_spark.kernels import features
from swallow_spark.stages.annotate.tasks import FEATURES
from swallow_spark.stages.decide import lists
from swallow_spark.stages.decide import tasks as stage

HOSTS = {
    "5ch.net": True,
    "sub.5ch.net": True,
    "a.b.5ch.net": True,
    "not-5ch.net": False,
    "5ch.net.example": False,
    "net": False,
    "ch.net": False,
    "5CH.Net": True,
    "5ch.net.": True,
    "wikipedia.org": True,
    "ja.m.wikipedia.org": True,
    "xn--wikipedia.org": False,
    "listed.example": True,
    "www.listed.example": True,
    "commented.example": False,
    "192.0.2.7": True,
    "7.192.0.2.7": True,
    "": False,
    ".": False,
    "example.jp": False,
}
LINES = [
    "# commented.example",
    "  Listed.Example.  # ours",
    "",
    " ",
    "*.192.0.2.7",
    ".",
    ".5ch.net",
    "5ch.net",
]


def broken(name: str, bound: Bound, value: float | None) -> list[str]:
    if value is None:
        return []
    found = []
    if bound.min is not None and not value >= bound.min:
        found.append(f"{name}:low")
    if bound.max is not None and not value <= bound.max:
        found.append(f"{name}:high")
    if bound.below is not None and not value < bound.below:
        found.append(f"{name}:high")
    return found


def row(rng: random.Random, number: int, config: Config) -> dict[str, Any]:
    """Features of which few break a rule; many lie on a bound or next to it."""
    host = rng.choice([None, *HOSTS]) if rng.random() < 0.5 else "example.jp"
    values: dict[str, Any] = {"doc_id": 1 << 53 | number, "host": host, "num_chars": number}
    for field in features.SCHEMA:
        bound = config.rules.bounds.get(field.name)
        edges = [e for e in (bound.min, bound.max, bound.below) if e is not None] if bound else [0.0]
        edge = rng.choice(edges)
        if pa.types.is_integer(field.type):
            value: float | None = int(edge) + rng.choice((-1, 0, 0, 0, 0, 1, 7))
        else:
            near = (math.nextafter(edge, -1), math.nextafter(edge, 1e9))
            value = edge if rng.random() < 0.9 else rng.choice((*near, edge * rng.random(), edge * 2))
        values[field.name] = value
    if rng.random() < 0.7:
        values["ng_fraction"] = None
    return values


@pytest.mark.parametrize("preset", ["swallow-v1", "swallow-v2"])
def test_verdicts_as_by_hand(spark: SparkSession, preset: str) -> None:
    config = load(preset)
    rng = random.Random(preset)
    rows = [row(rng, number, config) for number in range(600)]
    kept = {values["doc_id"] for values in rows if rng.random() < 0.8}
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, FEATURES)).repartition(3)
    listed = lists.Source("\n".join([*LINES, *config.rules.hosts]).encode(), "host:blocked")
    domains = spark.createDataFrame(lists.domains([listed]))
    blocked = stage.blocked_hosts(frame.select("host").distinct(), domains)
    keep = spark.createDataFrame([(doc_id,) for doc_id in kept], "doc_id long")
    verdicts = stage.decide(frame, keep, config.rules, hosts=blocked).collect()
    few = [row.domain for row in domains.collect()]
    assert sorted(stage.decide(frame, keep, config.rules, domains=few).collect()) == sorted(verdicts)
    assert sorted(stage.decide(frame, keep, config.rules, domains=few, hosts=blocked).collect()) == sorted(verdicts)

    expected = {}
    for values in rows:
        reasons = [r for name, bound in config.rules.bounds.items() for r in broken(name, bound, values[name])]
        reasons += ["host:blocked"] if HOSTS.get(values["host"]) else []
        expected[values["doc_id"]] = (not reasons, reasons, values["num_chars"])
    assert {v.doc_id: (v.accepted, v.reasons, v.num_chars) for v in verdicts} == {d: expected[d] for d in kept}
    assert len(verdicts) == len(kept)
    # The rows are worth something only where each reason, several at once, and none occur.
    reasons = {reason for _, found, _ in expected.values() for reason in found}
    assert reasons == {*rules_of(config), "host:blocked"}
    assert max(len(v.reasons) for v in verdicts) > 3
    assert 10 < sum(v.accepted for v in verdicts) < len(verdicts) - 10


def rules_of(config: Config) -> set[str]:
    found = set()
    for name, bound in config.rules.bounds.items():
        found |= {f"{name}:low"} if bound.min is not None else set()
        found |= {f"{name}:high"} if (bound.max, bound.below) != (None, None) else set()
    return found


def test_value_on_the_bound_passes_but_for_below(spark: SparkSession) -> None:
    config = load("swallow-v2")
    good = {"num_letters": 400, "num_japanese_letters": 400, "hiragana_fraction": 0.20, "avg_sentence_length": 90.0}
    for name, bound in config.rules.bounds.items():
        good.setdefault(name, bound.max if bound.max is not None else 0)
    rest = {name: 0 for name in features.SCHEMA.names if name not in good}
    rows = [
        {**rest, **good, "doc_id": 1, "host": None, "num_chars": 1, "ng_fraction": None},
        {**rest, **good, "doc_id": 2, "host": None, "num_chars": 1, "ng_fraction": 0.05},
        {**rest, **good, "doc_id": 3, "host": None, "num_chars": 1, "ng_fraction": math.nextafter(0.05, 0)},
    ]
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, FEATURES))
    nobody = spark.createDataFrame([], "host string, reasons array<string>")
    verdicts = stage.decide(frame, frame.select("doc_id"), config.rules, hosts=nobody).collect()
    assert {v.doc_id: v.reasons for v in verdicts} == {1: [], 2: ["ng_fraction:high"], 3: []}
