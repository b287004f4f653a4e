"""Shared by the benchmarks: documents, timing, and printed tables.

Documents are pieces of 1,500 characters of the texts in demo/classifiers, joined: real text, the same on every machine.
Times are CPU seconds of the process, so other work on the machine doesn't count; each figure is the best of several
rounds in which the contestants take turns.
"""

import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT_CHARS = 1500


def documents() -> list[str]:
    """The documents, in the order of the files."""
    texts: list[str] = []
    for name in ("wiki", "edu"):
        texts.extend(pq.read_table(ROOT / f"demo/classifiers/{name}.parquet")["text"].to_pylist())
    whole = "\n".join(texts)
    return [whole[at : at + DOCUMENT_CHARS] for at in range(0, len(whole) - DOCUMENT_CHARS, DOCUMENT_CHARS)]


def race(contestants: Mapping[str, tuple[Callable[[], object], int]], rounds: int = 5) -> dict[str, float]:
    """Documents per CPU second of each contestant: (work, documents in it). A first call of each is not counted, since
    it may compile or load."""
    best = dict.fromkeys(contestants, 0.0)
    for work, _ in contestants.values():
        work()
    for _ in range(rounds):
        for name, (work, number) in contestants.items():
            start = time.process_time()
            work()
            best[name] = max(best[name], number / (time.process_time() - start))
    return best


def show(title: str, figures: Mapping[str, float], packages: tuple[str, ...]) -> None:
    """Prints a Markdown table; the first row is ours, and the ratios are ours to each."""
    ours = next(iter(figures.values()))
    print(f"{title}\n\n| | documents/s | ours is faster by |\n|---|---:|---:|")
    for name, figure in figures.items():
        print(f"| {name} | {figure:,.0f} | {'' if figure == ours else f'{ours / figure:.1f}'} |")
    print(f"\n{machine(packages)}")


def machine(packages: tuple[str, ...]) -> str:
    """The machine and versions, in one line."""
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return f"One thread of {_processor()}, Python {platform.python_version()}, {versions}."


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or 'an unnamed processor'} ({platform.machine()})"
