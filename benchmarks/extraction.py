"""Main text extraction: quality and speed against Trafilatura and Resiliparse.

Run: .venv/bin/pip install '.[bench]'; .venv/bin/python -m benchmarks.extraction GOLD

GOLD holds `index.tsv` (tab-separated; columns id, lang, site, page_type), `html/<id>.html.gz` with a page's bytes,
`gold/<id>.txt` with its main text, where a form feed marks a cut, and optionally
`opt/<id>.txt` with text that doesn't count either way.

A text is the set of its 5-character shingles, without white space. Precision is the share of the extracted shingles
that are in the gold text (those of the optional text left out), recall the share of the gold text's shingles that were
extracted, F1 their harmonic mean; figures are means over pages. The bootstrap draws sites with replacement, since pages
of one site are correlated.
"""

import csv
import gzip
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import trafilatura
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding
from resiliparse.parse.html import HTMLTree

from benchmarks.timing import machine
from swallow_spark.kernels.html.html import extract

SHINGLE_CHARS = 5
RESAMPLES = 10_000
ROUNDS = 3


class GoldPage(NamedTuple):
    """A page with its main text."""

    lang: str
    site: str
    page_type: str
    html: bytes
    gold: str
    optional: str


def ours(html: bytes) -> str:
    """This project."""
    return extract(html).text


def by_trafilatura(html: bytes) -> str:
    """Trafilatura with the settings that Swallow used."""
    return trafilatura.extract(html, include_comments=False, include_tables=False) or ""


def by_resiliparse(html: bytes) -> str:
    """Resiliparse's main content."""
    return extract_plain_text(HTMLTree.parse_from_bytes(html, detect_encoding(html)), main_content=True)


EXTRACTORS: dict[str, Callable[[bytes], str]] = {
    "swallow-spark": ours,
    "trafilatura": by_trafilatura,
    "resiliparse": by_resiliparse,
}


def read(directory: Path) -> list[GoldPage]:
    """The pages of a gold set."""
    pages = []
    with (directory / "index.tsv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            optional = directory / "opt" / f"{row['id']}.txt"
            pages.append(
                GoldPage(
                    row["lang"],
                    row["site"],
                    row["page_type"].partition(" ")[0],
                    gzip.decompress((directory / "html" / f"{row['id']}.html.gz").read_bytes()),
                    (directory / "gold" / f"{row['id']}.txt").read_text(encoding="utf-8"),
                    optional.read_text(encoding="utf-8") if optional.exists() else "",
                )
            )
    return pages


def shingles(text: str) -> set[str]:
    """The 5-character shingles of a text without its white space; none spans a form feed."""
    found: set[str] = set()
    for part in text.split("\f"):
        part = "".join(part.split())
        found.update(part[at : at + SHINGLE_CHARS] for at in range(len(part) - SHINGLE_CHARS + 1))
    return found


def scores(text: str, page: GoldPage) -> tuple[float, float, float]:
    """(precision, recall, F1)."""
    found, gold = shingles(text), shingles(page.gold)
    right = len(found & gold)
    counted = right + len(found - gold - shingles(page.optional))
    precision, recall = right / max(1, counted), right / max(1, len(gold))
    return precision, recall, 2 * precision * recall / (precision + recall) if right else 0.0


def lower_bound(difference: np.ndarray, sites: list[str]) -> float:
    """The 2.5 % quantile of the mean difference when sites are drawn with replacement."""
    names = sorted(set(sites))
    member = np.array([names.index(site) for site in sites])
    sums = np.bincount(member, difference, len(names))
    counts = np.bincount(member, minlength=len(names))
    drawn = np.random.default_rng(1).integers(0, len(names), (RESAMPLES, len(names)))
    return float(np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), 0.025))


def pages_per_second(pages: list[GoldPage]) -> dict[str, float]:
    """Pages per CPU second of each extractor, the best of several rounds in which they take turns."""
    best = dict.fromkeys(EXTRACTORS, 0.0)
    for _ in range(ROUNDS):
        for name, extractor in EXTRACTORS.items():
            start = time.process_time()
            for page in pages:
                extractor(page.html)
            best[name] = max(best[name], len(pages) / (time.process_time() - start))
    return best


def main() -> None:
    """Prints the tables."""
    pages = read(Path(sys.argv[1]))
    results = {
        name: np.array([scores(extractor(page.html), page) for page in pages]) for name, extractor in EXTRACTORS.items()
    }
    groups: dict[str, list[int]] = defaultdict(list)
    for index, page in enumerate(pages):
        groups[page.lang].append(index)
        groups[f"{page.lang}, {page.page_type}"].append(index)
    print("| pages | of sites | extractor | precision | recall | F1 | ours above it in F1 by (lower bound) |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for group, members in sorted(groups.items()):
        sites = [pages[index].site for index in members]
        for name, result in results.items():
            precision, recall, f1 = result[members].mean(0)
            difference = results["swallow-spark"][members, 2] - result[members, 2]
            above = (
                "" if name == "swallow-spark" else f"{difference.mean():+.3f} ({lower_bound(difference, sites):+.3f})"
            )
            label = f"{group}: {len(members)} | {len(set(sites))}" if name == "swallow-spark" else " | "
            print(f"| {label} | {name} | {precision:.3f} | {recall:.3f} | {f1:.3f} | {above} |")
    print(
        "\n| pages | mean kB | extractor | pages per CPU second | MB per CPU second | ms a page | ours is faster by |"
    )
    print("|---|---:|---|---:|---:|---:|---:|")
    for lang in sorted({page.lang for page in pages}):
        of_lang = [page for page in pages if page.lang == lang]
        speeds = pages_per_second(of_lang)
        kilobytes = sum(len(page.html) for page in of_lang) / len(of_lang) / 1000
        for name, speed in speeds.items():
            faster = "" if name == "swallow-spark" else f"{speeds['swallow-spark'] / speed:.1f}"
            rates = f"{speed:,.0f} | {speed * kilobytes / 1000:.1f} | {1000 / speed:.1f}"
            print(f"| {lang} | {kilobytes:.0f} | {name} | {rates} | {faster} |")
    print(f"\n{machine(('trafilatura', 'resiliparse', 'selectolax'))}")


if __name__ == "__main__":
    main()
