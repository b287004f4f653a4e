"""Builds in processes of their own, to be disturbed: faults.py tells how, chaos.py does it."""

import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from commands import command_line, own_environment

SECONDS: Final = 600
"""A build that takes longer hangs."""
BUILD: Final = ("--config", "demo", "--crawl", "c", "--set", "execution.files_per_batch=1")


class Round:
    """What a fault gets: a corpus and its inputs, a source of chance, a directory that is deleted after the round."""

    def __init__(
        self, seed: int, warcs: Sequence[Path], reference: Path, directory: Path, arguments: Sequence[str] = ()
    ) -> None:
        """`arguments` are those of all its builds."""
        self.arguments = arguments
        self.chance = random.Random(seed)
        self.corpus = directory / f"corpus-{seed}"
        self.warcs = list(warcs)
        sizes = [path.stat().st_size for path in reference.rglob("*") if path.is_file()]
        self.num_files, self.kilobytes = len(sizes), sum(sizes) // 1024
        self.scratch = directory / f"scratch-{seed}"
        self.scratch.mkdir()

    def build(self, *arguments: str) -> "Build":
        return Build(self.corpus, self.warcs, *self.arguments, *arguments)

    def is_finished(self) -> bool:
        return (self.corpus / "subsets" / "thresholds.json").exists()


class Build:
    """A build in processes of its own: a driver, its JVM, its Python workers."""

    def __init__(self, corpus: Path, warcs: Sequence[Path], *arguments: str) -> None:
        self.corpus = corpus
        self._seen = self._there()
        self._log = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - closed in end()
        self.driver = subprocess.Popen(
            command_line("build", "--corpus", corpus, *BUILD, *arguments, *warcs),
            # Executors start quickly rather than run fast for hours.
            env={**own_environment(), "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"},
            start_new_session=True,
            stdout=self._log,
            stderr=self._log,
        )

    @property
    def runs(self) -> bool:
        return self.driver.poll() is None

    def _there(self) -> set[str]:
        return {os.path.join(place, name) for place, _, names in os.walk(self.corpus) for name in names}

    def wait_for_files(self, number: int) -> None:
        """Until it has written so many new files below the corpus, or has ended."""
        before = set(self._seen)
        while self.runs and len(self._seen - before) < number:
            time.sleep(0.03)
            self._seen |= self._there()

    def wait_for_a_moment_of(self, round_: Round) -> None:
        """Until a random moment of a build, between and inside stages."""
        self.wait_for_files(round_.chance.randrange(max(1, round_.num_files - len(self._seen))))
        time.sleep(round_.chance.uniform(0, 1))

    def processes(self, command: bytes = b"") -> list[int]:
        """Those that are alive, but for the driver; `command`: those alone whose command line has it."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
                line = (stat.parent / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[3]) == self.driver.pid and fields[0] not in "ZX" and command in line:
                found.append(int(stat.parent.name))
        return sorted(set(found) - {self.driver.pid})

    def kill(self, command: bytes, chance: random.Random) -> bool:
        """Kills -9 a process of that command line; False where there is none."""
        found = self.processes(command)
        if found:
            send(chance.choice(found), signal.SIGKILL)
        return bool(found)

    def end(self) -> tuple[int, str]:
        """Waits; the exit status and what was printed. Nothing of the build is left."""
        try:
            status = self.driver.wait(SECONDS)
        finally:
            if not self.runs:  # the JVM ends when its driver is gone
                deadline = time.monotonic() + 30
                while self.processes() and time.monotonic() < deadline:
                    time.sleep(0.1)
            for pid in (*self.processes(), self.driver.pid):
                send(pid, signal.SIGKILL)
            self.driver.wait()
            self._log.seek(0)
            text = self._log.read().decode(errors="replace")
            self._log.close()
        return status, text


def send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


class Fault(Protocol):
    """Disturbs a build, and tells what it has done. Fails where the build takes it otherwise than it should."""

    __name__: str

    def __call__(self, round_: Round) -> str: ...
