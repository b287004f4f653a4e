"""A build that is killed again and again, and started again: it resumes, and its rows are those of an undisturbed
run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from chaos import run_round
from commands import Ran, call, command_line, own_environment, run
from corpora import ids, rows, same_tables
from faults import kill_driver, stop_driver

from swallow_spark.corpus.corpus import Corpus

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


def processes_of(session: int) -> list[int]:
    """The processes of a session that are not dead: a driver, its JVM, its Python workers."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(stat.parent.name))
    return found


def wait_for(what: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def kill_when(happened: Callable[[], bool], arguments: list[str]) -> None:
    """Starts a command, and kills its driver, and only that, when something has happened. Returns when all of its
    processes have ended."""
    driver = subprocess.Popen(
        command_line(*arguments),
        env=own_environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: happened() or driver.poll() is not None, 200)
        assert driver.poll() is None, "it ended before it could be killed"
        assert len(processes_of(driver.pid)) > 1, "the driver and its JVM"
        driver.kill()
        driver.wait()
        # Spark's JVM ends when its driver is gone, and the workers with it.
        wait_for(lambda: not processes_of(driver.pid), 30)
    finally:
        for process in processes_of(driver.pid):
            os.kill(process, signal.SIGKILL)
        driver.wait()


def plant_leftovers(corpus: Path) -> list[Path]:
    """Parquet files that look like pages, in the way of every reader that lists directories."""
    manifest = json.loads(next((corpus / "manifests" / "ingest" / "crawl=c").glob("*.json")).read_text())
    finished = corpus / next(file["path"] for file in manifest["files"] if file["table"] == "pages")
    page = pq.read_table(finished, partitioning=None).slice(0, 1)
    unit = corpus / "pages" / "crawl=c" / "0000000-0000000-0123456789ab"
    unit.mkdir()
    planted = [unit / "part-00000-decoy.parquet", finished.parent / "part-00099-decoy.parquet"]
    for path in planted:
        pq.write_table(page, path)
    return planted


def test_a_killed_build_goes_on(built: Path, warcs: list[Path], tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    one_by_one = ("--set", "execution.files_per_batch=1", "--set", "execution.batches_in_flight=1")
    command = ["build", "--corpus", str(corpus), "--config", "demo", "--crawl", "c", "--until", "select", "--json"]
    command += [*one_by_one, *map(str, warcs)]
    units = corpus / "manifests"
    batches = units / "ingest" / "crawl=c"

    def is_in_use() -> bool:
        """Whether the first batch is finished; then another driver, of the same command, has been refused, while the
        first one was held."""
        if not any(batches.glob("*.json")):
            return False
        holder = json.loads((corpus / "lock.json").read_text())["pid"]
        os.kill(holder, signal.SIGSTOP)  # or it might finish the other batches until it is killed
        refused = call(*command).busy
        assert "in use by another run" in refused
        assert f"process {holder}," in refused
        return True

    kill_when(is_in_use, command)
    finished = ids(corpus, "ingest")
    assert 0 < len(finished) < len(warcs)
    kept = {path: path.read_bytes() for path in batches.glob("*.json")}
    assert json.loads((corpus / "lock.json").read_text())["pid"], "the dead process still holds the lock"
    in_a_swept_directory, in_a_finished_one = plant_leftovers(corpus)

    kill_when(lambda: len(list((units / "boundary").glob("*.json"))) > 2, command)  # in the middle of deduplicate
    assert {path: path.read_bytes() for path in kept} == kept
    assert not in_a_swept_directory.exists()
    early = ids(corpus, "ingest", "sketch", "measure")
    assert len([name for name in early if name.startswith("ingest/")]) == len(warcs)
    assert not (units / "deduplicate").exists()

    kill_when(lambda: any((corpus / "subsets").rglob("*.parquet")), command)  # of select
    assert not (corpus / "subsets" / "thresholds.json").exists()
    late = ids(corpus, "ingest", "sketch", "measure", "deduplicate", "decide", "score")
    assert early.items() <= late.items()
    assert not list((units / "boundary").glob("*.json"))

    ran: Ran = run(*command)
    summary = ran.json
    assert ids(corpus, "ingest", "sketch", "measure", "deduplicate", "decide", "score") == late
    assert not (corpus / "lock.json").exists()
    assert in_a_finished_one.exists(), "on no list, so never read"
    assert summary["pages"] == len(rows(corpus, "pages")) == len(rows(built, "pages"))
    same_tables(corpus, built)
    assert not list((corpus / "lookups").rglob("*.npy"))
    listed = {path.parent for path in corpus.rglob("*.parquet") if path.parent.name != "inputs"}
    assert all(list(directory.glob("*.parquet")) for directory in listed)


def test_drivers_that_are_stopped_at_any_moment_change_no_row(built: Path, warcs: list[Path], tmp_path: Path) -> None:
    """Three random moments; `make chaos` has more of them, and other trouble."""
    told = run_round(4, [kill_driver, stop_driver], built, warcs, tmp_path, num_faults=3)
    assert told.count("_driver") == 3


def test_the_lock_of_a_live_process_is_respected(built: Path, tmp_path: Path, warcs: list[Path]) -> None:
    corpus = Path(shutil.copytree(built, tmp_path / "copy"))
    lock = corpus / "lock.json"
    build = ("build", "--corpus", corpus, "--config", "demo", "--crawl", "c", *warcs)
    with Corpus.open(str(corpus)).lock():
        assert "in use by another run" in call(*build).busy
        dead = lock.read_text()
    lock.write_text(dead)
    assert call(*build).status == 0
    lock.write_text('{"host": "elsewhere"}')
    assert "in use by another run" in call(*build).busy
