"""Measures a process and its descendants: CPU seconds, and peaks of memory and disk.

Memory is anonymous resident pages (RssAnon), without mapped or cached files; pages that forked workers share with their
parent count for each. Linux only: it reads /proc.
"""

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass
class Peaks:
    """The highest values seen, in bytes: of the JVM, of one Python worker, of all processes together, and on disk."""

    jvm: int = 0
    worker: int = 0
    all: int = 0
    disk: int = 0

    def raise_to(self, other: "Peaks") -> None:
        for name in ("jvm", "worker", "all", "disk"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))


@dataclass
class Step:
    """The cost between two calls of `Watch.step`."""

    name: str
    seconds: float = 0.0
    cpu: float = 0.0
    peaks: Peaks = field(default_factory=Peaks)


class Watch:
    """A context that samples this process and its descendants twice a second, for the current step.

    directories: their files' sizes are the disk.
    """

    def __init__(self, *directories: Path) -> None:
        self.directories = directories
        self._spent = Spent()
        self.steps: list[Step] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()
        self._over.set()
        self._thread.join()

    def step(self, name: str) -> None:
        """Starts a step of this name."""
        self._close()
        self.steps.append(Step(name))
        self._since = time.monotonic(), self._spent.seconds()

    def _close(self) -> None:
        if self.steps:
            self.steps[-1].seconds = time.monotonic() - self._since[0]
            self.steps[-1].cpu = self._spent.seconds() - self._since[1]

    def _look(self) -> None:
        while not self._over.wait(0.5):
            self._spent.seconds()
            if self.steps:
                self.steps[-1].peaks.raise_to(Peaks(*_memory(), sum(map(disk_bytes, self.directories))))


class Spent:
    """CPU seconds of this process and all its descendants.

    The kernel's sums for a parent lack children that nobody waited for, such as Spark's Python workers. So the last
    sample of each process is kept: frequent samples miss less.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[int, str], float] = {}  # process id and when it started -> CPU seconds
        self._lock = threading.Lock()

    def seconds(self) -> float:
        """Takes a sample; returns the seconds so far."""
        ticks = os.sysconf("SC_CLK_TCK")
        now = {(pid, of[19]): (int(of[11]) + int(of[12])) / ticks for pid, of in family().items()}
        with self._lock:
            self._seen |= now
            return sum(self._seen.values())


def disk_bytes(directory: Path) -> int:
    """What the files below a directory take."""
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:  # others delete while we look
                continue
    return total


def family() -> dict[int, list[str]]:
    """/proc/PID/stat after the name, of this process and its descendants."""
    found: dict[int, list[str]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(stat.parent.name)] = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
    family = {os.getpid()}
    while more := {pid for pid, fields in found.items() if int(fields[1]) in family} - family:
        family |= more
    return {pid: found[pid] for pid in family}


def _memory() -> tuple[int, int, int]:
    """RssAnon in bytes of the JVM, of the largest Python worker, and of all processes of the family."""
    jvm = worker = everything = 0
    for pid in family():
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        values = dict(line.split(":", 1) for line in lines)
        size = int(values.get("RssAnon", "0 kB").split()[0]) * 1024
        everything += size
        if values["Name"].strip() == "java":
            jvm = max(jvm, size)
        elif pid != os.getpid():
            worker = max(worker, size)
    return jvm, worker, everything
