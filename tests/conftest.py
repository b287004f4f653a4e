"""What all tests may use: one Spark session, corpora that are built once, and what hypothesis may do.

Tests of kernels use none of it and import no pyspark: nothing here does before a test asks for it.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings
from places import DEMO_WARCS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# The same examples each time, and no clock: a test that passed must not fail because a machine stalled, a kernel had to
# be compiled, or chance found what it missed before. `make search` tries others.
_NO_CLOCK: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **_NO_CLOCK)
settings.register_profile("search", print_blob=True, **_NO_CLOCK)
settings.load_profile("same")

# Servers of tests are on the loopback address, which a machine's proxy would look for on its own.
for _name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[_name]


# Files are handed out in this order, so that no long one is left to one process at the end.
_LONGEST_FIRST = ("jobs", "stages")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((n for n, name in enumerate(_LONGEST_FIRST) if name in item.path.parts), len(_LONGEST_FIRST))

    items.sort(key=place)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names no test after bytes: they may hold the time, as gzip's header does, and differ in each process."""
    return argname if isinstance(val, bytes) else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without-spark", action="store_true", help="fail whatever imports pyspark")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--without-spark"):
        sys.modules["pyspark"] = None  # type: ignore[assignment]  # what `import` takes for a module that is not there


@pytest.fixture(scope="session")
def event_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session writes down what it runs: tests/support/event_log.py reads the plans there."""
    return tmp_path_factory.mktemp("event-log")


@pytest.fixture(scope="session")
def spark(event_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator["SparkSession"]:
    from pyspark.sql import SparkSession

    from swallow_spark.session.session import open_session

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


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A directory of all processes that run tests: what one makes there, under a lock, the others find."""
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "shared"
    shared.mkdir(exist_ok=True)
    return shared


@pytest.fixture(scope="session")
def warcs(shared: Path) -> list[Path]:
    """Four small WARCs: 45 records each, of four of the demo's files."""
    from corpora import slice_of

    paths = [shared / f"{number}.warc.gz" for number in range(4)]
    with FileLock(shared / "warcs.lock"):
        for path, whole in zip(paths, DEMO_WARCS, strict=False):
            if not path.exists():
                slice_of(whole, path, slice(0, 45))
    return paths


@pytest.fixture(scope="session")
def built(spark: "SparkSession", warcs: Sequence[Path], shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus built from the small WARCs in one batch, undisturbed. Copy it before changing it."""
    from commands import call

    first = shared / "corpus"
    with FileLock(shared / "corpus.lock"):
        if not first.exists():
            made = shared / "unfinished"
            assert call("build", "--corpus", made, "--config", "demo", "--crawl", "c", *warcs).status == 0
            made.rename(first)
    # A copy for each process: commands lock a corpus even to read it.
    return Path(shutil.copytree(first, tmp_path_factory.mktemp("built") / "corpus"))


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    """A finished corpus to change."""
    return Path(shutil.copytree(built, tmp_path / "copy"))
