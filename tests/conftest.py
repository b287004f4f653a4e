"""One Spark session for all tests that need one (tests of kernels, configuration and storage start no JVM), and what
hypothesis may do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from pyspark.sql import SparkSession

from swallow_spark.session.session import open_session

# The same examples each time, and no clock: a test that passed must not fail because a machine stalled, a kernel had to
# be compiled, or chance found what it missed before. For others: pytest --hypothesis-profile=search.
_NO_CLOCK: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **_NO_CLOCK)
settings.register_profile("search", **_NO_CLOCK)
settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Kernels first: what they compile is there when the sessions of all processes need it at the same time."""
    items.sort(key=lambda item: "kernels" not in item.path.parts)


@pytest.fixture(scope="session")
def event_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session writes down what it runs: tests/stages/test_no_text_shuffle.py reads the plans there."""
    return tmp_path_factory.mktemp("event-log")


@pytest.fixture(scope="session")
def spark(event_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    settings = {
        # Quick to start rather than fast for hours: a test's query runs once, before any compiler would pay off.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.driver.memory": "1g",
        # A task of an empty partition costs as much as one of a small partition: 2, so that there are several at all.
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
        # No port is opened, no page is served.
        "spark.ui.enabled": "false",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        # Every query's plans as they ran, with all columns of all nodes: the default leaves out those behind the 25th.
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": event_log.as_uri(),
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
        "spark.sql.debug.maxToStringFields": "1000",
    }
    # A session that runs already would be taken as it is, without these settings.
    assert SparkSession.getActiveSession() is None, "an earlier test opened a session: let it use the fixture `spark`"
    session = open_session("swallow-spark tests", "local[2,4]", settings)
    yield session
    session.stop()
