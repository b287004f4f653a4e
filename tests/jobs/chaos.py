"""Trouble on purpose: builds that are disturbed at random, and what must come of them.

    python tests/jobs/chaos.py --seed 1 --minutes 15        (`make chaos`)

Each round disturbs a build, lets the same command run until it is through, and compares all tables with those of an
undisturbed build. A round is decided by its seed alone, but for the time that things take.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from commands import command_line, own_environment
from corpora import DEMO_PAGES, same_tables, slice_of

ATTEMPTS = 4
_SMALL_BATCHES = ("--set", "execution.files_per_batch=1")


def build_command(corpus: Path, warcs: list[Path]) -> list[str]:
    arguments = [
        "build",
        "--corpus",
        str(corpus),
        "--config",
        "demo",
        "--crawl",
        "c",
        *_SMALL_BATCHES,
        *map(str, warcs),
    ]
    return command_line(*arguments, *map(str, warcs))


class Build:
    """A build in processes of its own: a driver, its JVM, its Python workers."""

    def __init__(self, corpus: Path, warcs: list[Path], **environment: str) -> None:
        self.log = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - closed in end()
        self.driver = subprocess.Popen(
            build_command(corpus, warcs),
            env={**own_environment(), **environment},
            start_new_session=True,
            stdout=self.log,
            stderr=self.log,
        )

    def processes(self, *, workers: bool = False) -> list[int]:
        """Those that are alive; `workers`: the Python processes below the JVM alone."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
                command = (stat.parent / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[3]) == self.driver.pid and fields[0] not in "ZX":
                pid = int(stat.parent.name)
                if not workers or (b"pyspark.daemon" in command and pid != self.driver.pid):
                    found.append(pid)
        return found

    def end(self, seconds: float = 300) -> tuple[int, str]:
        """Waits; the exit status and what was printed. Nothing of the build is left."""
        try:
            status = self.driver.wait(seconds)
        finally:
            deadline = time.monotonic() + 30  # the JVM ends when its driver is gone
            while self.processes() and time.monotonic() < deadline:
                time.sleep(0.1)
            for pid in self.processes():
                _kill(pid, signal.SIGKILL)
            self.driver.wait()
            self.log.seek(0)
            text = self.log.read().decode(errors="replace")
            self.log.close()
        return status, text


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


# ---- what happens; each takes the corpus, the WARCs and a source of chance


def kill_driver(corpus: Path, warcs: list[Path], chance: random.Random, number: signal.Signals = signal.SIGKILL) -> str:
    """At any moment, between and inside stages."""
    build, seconds = Build(corpus, warcs), chance.uniform(3, 35)
    deadline = time.monotonic() + seconds
    while build.driver.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    _kill(build.driver.pid, number)
    status, text = build.end()
    assert number == signal.SIGKILL or status in (0, 130), text
    return f"{number.name} after {seconds:.1f} s"


def stop_driver(corpus: Path, warcs: list[Path], chance: random.Random) -> str:
    return kill_driver(corpus, warcs, chance, signal.SIGTERM)


def kill_workers(corpus: Path, warcs: list[Path], chance: random.Random) -> str:
    """Of Python, now and then: their tasks are done again, and the build must not even notice."""
    build, killed = Build(corpus, warcs), 0
    while build.driver.poll() is None and killed < 3:
        time.sleep(chance.uniform(2, 6))
        if workers := build.processes(workers=True):
            _kill(chance.choice(workers), signal.SIGKILL)
            killed += 1
    status, text = build.end()
    assert status == 0, text
    return f"{killed} workers killed"


def two_at_once(corpus: Path, warcs: list[Path], chance: random.Random) -> str:
    """One of them works, the other is told so."""
    first = Build(corpus, warcs)
    time.sleep(chance.uniform(0, 6))
    second = Build(corpus, warcs)
    ended = sorted([first.end(), second.end()])
    assert ended[0][0] == 0, ended
    assert ended[1][0] in (0, 2), ended
    assert ended[1][0] == 0 or "in use by another run" in ended[1][1], ended
    return "two drivers"


def damage(corpus: Path, warcs: list[Path], chance: random.Random) -> str:
    """A file that is cut or gone, of a finished corpus: table or manifest."""
    Build(corpus, warcs).end()
    files = [path for path in sorted(corpus.rglob("*")) if path.suffix in (".parquet", ".json")]
    files = [path for path in files if path.relative_to(corpus).parts[0] not in ("inputs", "runs", "corpus.json")]
    victim = chance.choice(files)
    if chance.random() < 0.5:
        victim.unlink()
        return f"deleted {victim.relative_to(corpus)}"
    victim.write_bytes(victim.read_bytes()[: chance.randrange(victim.stat().st_size)])
    return f"cut {victim.relative_to(corpus)}"


FAULTS: tuple[Callable[[Path, list[Path], random.Random], str], ...] = (
    kill_driver,
    stop_driver,
    kill_workers,
    two_at_once,
    damage,
)


def run_round(seed: int, reference: Path, warcs: list[Path], directory: Path) -> str:
    """One round; what happened. Fails where the corpus isn't the undisturbed one in the end."""
    chance, corpus = random.Random(seed), directory / f"corpus-{seed}"
    told = [chance.choice(FAULTS)(corpus, warcs, chance) for _ in range(chance.randint(1, 2))]
    for _ in range(ATTEMPTS):
        status, text = Build(corpus, warcs).end()
        if status == 0:
            break
        told.append(text.strip().splitlines()[-1])
    assert status == 0, (seed, told, text)
    same_tables(corpus, reference)
    return "; ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the following count on")
    parser.add_argument("--minutes", type=float, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        names = range(4)
        warcs = [slice_of(DEMO_PAGES / f"{n:05}.warc.gz", directory / f"{n}.warc.gz", slice(0, 45)) for n in names]
        reference = directory / "reference"
        status, text = Build(reference, warcs).end()
        assert status == 0, text
        end, seed = time.monotonic() + 60 * given.minutes, given.seed
        while time.monotonic() < end:
            print(f"seed {seed}: {run_round(seed, reference, warcs, directory)}: the same corpus", flush=True)
            seed += 1


if __name__ == "__main__":
    main()
