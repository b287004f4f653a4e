"""What Spark's event log says of the queries that ran."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from swallow_spark.corpus import read


def events_of(spark: SparkSession, event_log: Path, work: Callable[[], object]) -> list[dict[str, Any]]:
    """What the event log gets while `work` is done, with plans as they are for many rows, and their details."""
    start = len(_events(spark, event_log))
    spark.conf.set("spark.sql.ui.explainMode", "formatted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read, "FEW_ROWS", 0)
        work()
    spark.conf.set("spark.sql.ui.explainMode", "simple")
    return _events(spark, event_log)[start:]


def _events(spark: SparkSession, event_log: Path) -> list[dict[str, Any]]:
    bus = spark.sparkContext._jsc.sc().listenerBus()
    bus.waitUntilEmpty()
    spark.sparkContext.parallelize([0], 1).count()  # the log is flushed as a job ends
    bus.waitUntilEmpty()
    (log,) = (path for path in event_log.iterdir() if not path.name.startswith("."))
    return [json.loads(line) for line in log.read_bytes().split(b"\n")[:-1]]


_NODE = re.compile(r"^\((\d+)\) ([^\n]*)\n(.*?)(?=^\(\d+\) |^=====|\Z)", re.MULTILINE | re.DOTALL)


@dataclass
class Query:
    """A SQL execution: its plans, the first and those that adaptive execution made of it, and what was shuffled."""

    plans: list[str] = field(default_factory=list)
    shuffled_bytes: int = 0

    def nodes(self) -> Iterator[tuple[str, str]]:
        """(name, details) of each operator of each plan."""
        for plan in self.plans:
            found = _NODE.findall(plan)
            assert found, f"no operators in a plan: {plan[:200]}"
            for _, name, details in found:
                yield name, details

    @property
    def exchanges(self) -> list[tuple[str, str]]:
        return [(name, details) for name, details in self.nodes() if "Exchange" in name or "QueryStage" in name]

    @property
    def reads_text(self) -> bool:
        return any(
            name.startswith("Scan") and re.search(r"(?:^|[\s,<\[])text(?:#\d+|:)", details)
            for name, details in self.nodes()
        )

    def of_reading_tasks(self) -> list[set[str]]:
        """The columns that tasks give out which are handed numbers, of files to read, and no rows."""
        handed = [details for name, details in self.nodes() if name == "MapInArrow" and "Input [1]: [id#" in details]
        return [set(re.findall(r"(\w+)#", details.partition(")#")[2])) for details in handed]

    @property
    def exchanges_text(self) -> bool:
        """Whether a column named text goes into an exchange, or anything does in a query that scans text."""
        named = any(re.search(r"[\[ ]text#\d+", details) for _, details in self.exchanges)
        return named or (self.reads_text and bool(self.exchanges or self.shuffled_bytes))


def queries(events: list[dict[str, Any]]) -> tuple[list[Query], int]:
    """The queries of an event log, and the bytes that stages outside any query shuffled."""
    found: dict[int, Query] = {}
    query_of_stage: dict[int, int | None] = {}
    outside = 0
    for event in events:
        kind = event["Event"].rpartition(".")[2]
        if kind in ("SparkListenerSQLExecutionStart", "SparkListenerSQLAdaptiveExecutionUpdate"):
            found.setdefault(event["executionId"], Query()).plans.append(event["physicalPlanDescription"])
        elif kind == "SparkListenerJobStart":
            execution = event.get("Properties", {}).get("spark.sql.execution.id")
            query_of_stage.update(dict.fromkeys(event["Stage IDs"], int(execution) if execution else None))
        elif kind == "SparkListenerTaskEnd":
            written = event["Task Metrics"]["Shuffle Write Metrics"]["Shuffle Bytes Written"]
            execution = query_of_stage[event["Stage ID"]]
            if execution in found:
                found[execution].shuffled_bytes += written
            else:
                outside += written
    return list(found.values()), outside
