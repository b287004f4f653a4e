"""What chaos.py does to a build."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from commands import run
from corpora import manifests
from disturbed import Fault, Round, send
from standalone import EAGER_SPECULATION, Cluster, environment, event_log, speculative_tasks, started

_WORKER: Final = b"pyspark.worker"  # daemons are told so, and what they fork has their command line


def kill_driver(round_: Round) -> str:
    build = round_.build()
    build.wait_for_a_moment_of(round_)
    send(build.driver.pid, signal.SIGKILL)
    build.end()
    return _where(round_)


def stop_driver(round_: Round) -> str:
    """SIGTERM, to the driver alone or, as some schedulers do, to its JVM and workers as well."""
    build, everybody = round_.build(), round_.chance.random() < 0.5
    build.wait_for_a_moment_of(round_)
    for pid in (build.driver.pid, *(build.processes() if everybody else ())):
        send(pid, signal.SIGTERM)
    status, text = build.end()
    # Python that isn't up yet knows no signals; a run that was through is done.
    assert status in (0, 130, -signal.SIGTERM), (status, text)
    if status == 130:
        assert "stopped; run the same command again" in text, text  # a JVM that goes as well may say more
        assert not (round_.corpus / "lock.json").exists()
    return f"{'to all processes, ' if everybody else ''}exit status {status}, {_where(round_)}"


def kill_workers(round_: Round) -> str:
    """Of Python, as the system does where memory runs out: their tasks are done again."""
    build, killed = round_.build(), 0
    while build.runs and killed < 3:
        time.sleep(round_.chance.uniform(1, 4))
        killed += build.kill(_WORKER, round_.chance)
    status, text = build.end()
    assert status == 0, text
    return f"{killed} killed"


def kill_executors(round_: Round) -> str:
    """Now and then, with what they had shuffled: that is computed again."""
    killed = 0
    with cluster(round_.scratch) as (running, arguments):
        build = round_.build(*arguments)
        while build.runs and killed < 3:
            build.wait_for_files(1 + round_.chance.randrange(round_.num_files // 3))
            if build.runs and (found := running.executors()):
                send(round_.chance.choice(found), signal.SIGKILL)
                killed += 1
        status, text = build.end()
    assert status == 0, text
    return f"{killed} killed"


def speculate(round_: Round) -> str:
    """Nearly every task is started twice, on two machines, and one of the two loses."""
    finished, log = round_.is_finished(), round_.scratch / f"events-{random.getrandbits(32):x}"
    settings = {**EAGER_SPECULATION, **event_log(log)}
    with cluster(round_.scratch) as (_, arguments):
        status, text = round_.build(*arguments, *(f"--set=spark.{name}={settings[name]}" for name in settings)).end()
    assert status == 0, text
    twice = speculative_tasks(log)
    assert twice or finished, text
    return f"{twice} tasks twice"


def too_little_memory(round_: Round) -> str:
    """For what a Python worker needs: the run ends with an error, and goes on where there is enough."""
    megabytes = round_.chance.choice([300, 1200, 2048, 2150, 2300])
    limit = f"--set=spark.spark.executor.pyspark.memory={megabytes}m"
    status, text = round_.build(limit).end()
    assert status in (0, 2 if megabytes < 2048 else 1), (status, text)
    assert status == 0 or "spark.executor.pyspark.memory" in text.splitlines()[-1], text
    return f"{megabytes} MB, exit status {status}, {_where(round_)}"


def no_memory_left(round_: Round) -> str:
    """The system kills each worker of Python from some moment on: the run ends with an error that says so."""
    build = round_.build()
    build.wait_for_a_moment_of(round_)
    killed = 0
    while build.runs:
        for pid in build.processes(_WORKER):
            send(pid, signal.SIGKILL)
            killed += 1
        time.sleep(0.1)
    status, text = build.end()
    assert status in (0, 1), (status, text)
    assert status == 0 or "memory" in text.splitlines()[-1], text
    return f"{killed} killed, exit status {status}, {_where(round_)}"


def full_disk(round_: Round) -> str:
    """Under the corpus: what was there stays, and the run ends with the system's words for it."""
    if round_.is_finished():
        return "nothing to write"
    with _small_disk(round_, round_.chance.randrange(20, round_.kilobytes)) as small:
        if round_.corpus.exists():
            subprocess.run(["mount", "-o", "remount,size=1g", str(small)], check=True)
            shutil.copytree(round_.corpus, small / "corpus")
            used = sum(path.stat().st_blocks for path in small.rglob("*")) // 2
            size = used + round_.chance.randrange(20, max(21, round_.kilobytes - used))
            subprocess.run(["mount", "-o", f"remount,size={size}k", str(small)], check=True)
        whole, round_.corpus = round_.corpus, small / "corpus"
        try:
            status, text = round_.build().end()
        finally:
            round_.corpus = whole
        assert status in (0, 1, 2), (status, text)
        assert status == 0 or "No space left" in text.splitlines()[-1], text
        assert not (small / "corpus" / "lock.json").exists()
        shutil.rmtree(round_.corpus, ignore_errors=True)
        shutil.copytree(small / "corpus", round_.corpus)
    return f"exit status {status}, {_where(round_)}"


def full_scratch(round_: Round) -> str:
    """Under what Spark shuffles, which in so small a build is up to some 150 KB."""
    with _small_disk(round_, round_.chance.randrange(4, 150)) as small:
        status, text = round_.build(f"--set=spark.spark.local.dir={small}").end()
    assert status in (0, 1), (status, text)
    assert status == 0 or re.search("No space left on device.*spark.local.dir", text.splitlines()[-1]), text
    return f"exit status {status}, {_where(round_)}"


def two_at_once(round_: Round) -> str:
    """One of them works, the other is told so."""
    first = round_.build()
    time.sleep(round_.chance.uniform(0, 6))
    second = round_.build()
    ended = sorted([first.end(), second.end()])
    assert ended[0][0] == 0, ended
    assert ended[1][0] in (0, 75), ended
    assert ended[1][0] == 0 or "in use by another run" in ended[1][1], ended
    return "one refused" if ended[1][0] else "one after the other"


def changing_input(round_: Round) -> str:
    """A WARC that is another one while the build runs, and the registered one again at the end."""
    victim = round_.chance.choice(round_.warcs)
    content = victim.read_bytes()
    build = round_.build()
    build.wait_for_files(1 + round_.chance.randrange(8))  # while it is read, or before
    other = victim.with_suffix(".other")
    for _ in range(3):
        other.write_bytes(content + content[: round_.chance.randrange(1, len(content))])
        other.replace(victim)
        time.sleep(round_.chance.uniform(0, 3))
    status, text = build.end()
    other.write_bytes(content)
    other.replace(victim)
    assert status in (0, 1, 2), (status, text)
    return f"exit status {status}"


def damage(round_: Round) -> str:
    """A file that is cut or gone, of a finished corpus: table or manifest. `check` tells."""
    status, text = round_.build().end()
    if status:
        return f"none, for it isn't finished: {text.strip().splitlines()[-1]}"
    listed = [file.path for manifest in manifests(round_.corpus).values() for file in manifest.files]
    units = [str(path.relative_to(round_.corpus)) for path in _manifests_of_stages(round_)]
    name = round_.chance.choice(sorted(listed) + sorted(units))
    victim = round_.corpus / name
    is_gone = round_.chance.random() < 0.5
    if is_gone:
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[: round_.chance.randrange(victim.stat().st_size)])
    checked = run("check", "--corpus", round_.corpus, "--config", "demo", "--json")
    assert checked.status == 1, (name, checked)
    told = json.loads(checked.out)
    if is_gone and name in units:  # which leaves a stage that isn't done
        assert told["not_done"], (name, told)
    else:
        assert name in [damaged["path"] for damaged in told["damaged"]], (name, told)
    return f"{'deleted' if is_gone else 'cut'} {name}"


def _manifests_of_stages(round_: Round) -> list[Path]:
    """All but the report's: that one is made anew by each build, and nothing depends on it."""
    directory = round_.corpus / "manifests"
    return [path for path in directory.rglob("*.json") if path.relative_to(directory).parts[0] != "report"]


def _where(round_: Round) -> str:
    """How far the corpus is."""
    manifests = round_.corpus / "manifests"
    stages = sorted(path.name for path in manifests.iterdir()) if manifests.exists() else []
    return f"there are {', '.join(stages) or 'no units'}"


@contextmanager
def cluster(scratch: Path) -> Iterator[tuple[Cluster, list[str]]]:
    """A cluster, and what a build has to be told for running there."""
    place = scratch / f"cluster-{random.getrandbits(32):x}"
    place.mkdir()
    with started(environment(place), place) as running:
        yield running, ["--master", running.url, "--set=spark.spark.executor.memory=1g"]


@contextmanager
def _small_disk(round_: Round, kilobytes: int) -> Iterator[Path]:
    place = round_.scratch / f"disk-{random.getrandbits(32):x}"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


_FOR_ROOT: Final[tuple[Fault, ...]] = (full_disk, full_scratch)
FAULTS: Final[tuple[Fault, ...]] = (
    kill_driver,
    stop_driver,
    kill_workers,
    kill_executors,
    speculate,
    too_little_memory,
    no_memory_left,
    two_at_once,
    changing_input,
    damage,
    *(_FOR_ROOT if os.geteuid() == 0 else ()),
)

ON_CLUSTERS: Final[tuple[Fault, ...]] = (
    kill_driver,
    stop_driver,
    two_at_once,
    changing_input,
    damage,
    *((full_disk,) if os.geteuid() == 0 else ()),
)
"""Those that mean something for a driver whose tasks are elsewhere, and bring no cluster of their own."""
