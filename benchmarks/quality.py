"""Quality of dedup on real pages, against the exact Jaccard similarity of all their pairs.

Run: .venv/bin/python -m benchmarks.quality CORPUS [--manifest MANIFEST.tsv.gz] [--seeds 20]

CORPUS is a swallow-spark corpus with ingested pages. The ground truth are all pairs of pages with a Jaccard similarity
of at least MIN_JACCARD between their sets of 5-character shingles. Whether a pair shares a bucket depends on the
permutations' seed, so figures are means over several seeds. MANIFEST is tab-separated with the columns url and
near_dup_group, which groups known versions of a document.
"""

import argparse
import csv
import gzip
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from swallow_spark.corpus.corpus import Corpus
from swallow_spark.kernels import lsh
from swallow_spark.kernels.minhash import minhash
from swallow_spark.tables import PAGES

SHINGLE_CHARS = 5
MIN_JACCARD = 0.3
BINS = (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
MIN_SIMILARITIES = (0.8, 0.85, 0.9)


class Pairs(NamedTuple):
    """Pairs of rows, the earlier page first, and their exact similarity."""

    earlier: np.ndarray
    later: np.ndarray
    jaccard: np.ndarray


def read_pages(root: str) -> tuple[list[str], list[str]]:
    """URLs and texts of the pages, by doc_id."""
    corpus = Corpus.open(root)
    paths = [
        Path(root) / file.path for unit in corpus.manifests("ingest") for file in unit.files if file.table == "pages"
    ]
    tables = [pq.read_table(path, columns=["doc_id", "url", "text"], partitioning=None) for path in paths]
    pages = pa.concat_tables(tables).sort_by("doc_id")
    assert set(pages.column_names) <= set(PAGES.names)
    return pages["url"].to_pylist(), pages["text"].to_pylist()


def similar_pairs(texts: list[str]) -> Pairs:
    """All pairs whose similarity is at least MIN_JACCARD."""
    numbers: dict[str, int] = {}
    columns: list[int] = []
    ends = [0]
    for text in texts:
        cut = {text[at : at + SHINGLE_CHARS] for at in range(max(1, len(text) - SHINGLE_CHARS + 1))}
        columns.extend(numbers.setdefault(shingle, len(numbers)) for shingle in cut)
        ends.append(len(columns))
    sizes = np.diff(ends)
    matrix = sparse.csr_matrix(
        (np.ones(len(columns), np.int32), np.array(columns), np.array(ends)), (len(texts), len(numbers))
    )
    found: list[np.ndarray] = []
    transposed = matrix.T.tocsr()
    for start in range(0, len(texts), 64):
        common = (matrix[start : start + 64] @ transposed).tocoo()
        rows, others = common.row + start, common.col
        jaccard = common.data / (sizes[rows] + sizes[others] - common.data)
        wanted = (rows < others) & (jaccard >= MIN_JACCARD)
        found.append(np.stack([rows[wanted], others[wanted], jaccard[wanted]]))
    earlier, later, jaccard = np.concatenate(found, axis=1)
    return Pairs(earlier.astype(int), later.astype(int), jaccard)


class Outcome(NamedTuple):
    shared: np.ndarray  # of the pairs: whether they share a bucket
    unlike: int  # pairs that share a bucket and aren't in `similar_pairs`
    estimate: np.ndarray  # of the pairs: similarity by the sketches
    dropped: np.ndarray  # of the pages, by the policy `bucket`
    edges: set[tuple[int, int]]  # page and the first page of one of its buckets


def sketched(texts: list[str], pairs: Pairs, seed: int) -> Outcome:
    sketch = lsh.sketch(pa.array(texts, pa.large_string()), seed=seed)
    keys = sketch["bands"].flatten().to_numpy().reshape(len(texts), -1)
    bits = np.frombuffer(b"".join(sketch["sketch"].to_pylist()), np.uint8).reshape(len(texts), -1)
    shared = (keys[pairs.earlier] == keys[pairs.later]).any(axis=1)
    together: set[tuple[int, int]] = set()
    edges: set[tuple[int, int]] = set()
    for band in keys.T:
        buckets = defaultdict(list)
        for row, key in enumerate(band.tolist()):
            buckets[key].append(row)
        for rows in buckets.values():
            edges.update((row, rows[0]) for row in rows[1:])
            together.update((a, b) for place, a in enumerate(rows) for b in rows[place + 1 :])
    dropped = np.zeros(len(texts), bool)
    dropped[[row for row, _ in edges]] = True
    estimate = minhash.estimated_jaccard(bits[pairs.earlier], bits[pairs.later])
    return Outcome(shared, len(together) - int(shared.sum()), estimate, dropped, edges)


def known_pairs(manifest: Path, urls: list[str]) -> set[tuple[int, int]]:
    """Pairs of rows that the manifest puts into one group."""
    group_of: dict[str, str] = {}
    with gzip.open(manifest, "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if row["near_dup_group"]:
                group_of[row["url"]] = row["near_dup_group"]
    groups = defaultdict(list)
    for at, url in enumerate(urls):
        if url in group_of:
            groups[group_of[url]].append(at)
    return {(a, b) for rows in groups.values() for place, a in enumerate(rows) for b in rows[place + 1 :]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus")
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    urls, texts = read_pages(arguments.corpus)
    pairs = similar_pairs(texts)
    seeds = range(1, arguments.seeds + 1)
    outcomes = [sketched(texts, pairs, seed) for seed in seeds]
    print(
        f"{len(texts):,} pages, {len(pairs.jaccard):,} pairs with J of {MIN_JACCARD} or more; {len(outcomes)} seeds\n"
    )

    chance = np.array([lsh.collision_probability(min(1.0, value)) for value in pairs.jaccard])
    print("| J | pairs | share a bucket | expected | difference, in standard errors |\n|---|---:|---:|---:|---:|")
    for low, high in zip(BINS, (*BINS[1:], 1.1), strict=True):
        here = (pairs.jaccard >= low) & (pairs.jaccard < high)
        if not here.any():
            continue
        counts = np.array([outcome.shared[here].sum() for outcome in outcomes])
        expected = chance[here].sum()
        # Pairs of one group share pages and aren't independent: the error is that of the seeds.
        error = counts.std(ddof=1) / np.sqrt(len(counts)) if len(counts) > 1 else np.nan
        gap = f"{(counts.mean() - expected) / error:+.1f}" if error > 0 else ""
        label = "1" if low == 1 else f"{low} to {high:g}"
        print(f"| {label} | {here.sum():,} | {counts.mean() / here.sum():.4f} | {expected / here.sum():.4f} | {gap} |")
    print(
        f"| below {MIN_JACCARD} | {len(texts) * (len(texts) - 1) // 2 - len(pairs.jaccard):,} "
        f"| {np.mean([outcome.unlike for outcome in outcomes]):.2f} pairs | | |"
    )

    close = pairs.jaccard >= 0.95
    caught = [outcome.dropped[pairs.later[close]].mean() for outcome in outcomes]
    print(f"\nOf {close.sum():,} pairs with J >= .95 the later page is dropped in", end=" ")
    print(f"{np.mean(caught):.5f} (least of a seed {min(caught):.5f}).")
    nearest = np.zeros(len(texts))
    np.maximum.at(nearest, pairs.later, pairs.jaccard)
    alone = nearest < 0.5
    wrongly = np.mean([outcome.dropped[alone].sum() for outcome in outcomes])
    print(f"Of {alone.sum():,} pages with no earlier page of J >= .5, {wrongly:.2f} are dropped;", end=" ")
    print(f"of all, {np.mean([outcome.dropped.sum() for outcome in outcomes]):,.1f}.")

    exact = {(a, b): value for a, b, value in zip(*(column.tolist() for column in pairs), strict=True)}
    print(
        "\n| min_similarity | edges that pass | with J below it by .05 | by .10 | pairs that pass | by .05 | by .10 |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for least in MIN_SIMILARITIES:
        of_edges: list[float] = []
        of_pairs: list[float] = []
        for outcome in outcomes:
            passing = outcome.shared & (outcome.estimate >= least)
            of_pairs.extend(pairs.jaccard[passing])
            rows = zip(pairs.earlier[passing].tolist(), pairs.later[passing].tolist(), strict=True)
            of_edges.extend(exact[a, b] for a, b in rows if (b, a) in outcome.edges)
        cells = [cell for values in (of_edges, of_pairs) for cell in shares(np.array(values), least)]
        print(f"| {least} | " + " | ".join(cells) + " |")

    if arguments.manifest:
        known = known_pairs(arguments.manifest, urls)
        similar = [pair for pair in known if exact.get(pair, 0) >= 0.9]
        found = np.mean([np.mean([outcome.dropped[later] for _, later in similar]) for outcome in outcomes])
        print(
            f"\nOf {len(known):,} pairs that the manifest puts into one group, {len(similar):,} have J >= .9;", end=" "
        )
        print(f"the later page of {found:.4f} of those is dropped.", end=" ")
        print(f"{(pairs.jaccard >= 0.9).sum():,} pairs in all have J >= .9.")


def shares(jaccard: np.ndarray, least: float) -> list[str]:
    return [f"{len(jaccard):,}", f"{(jaccard < least - 0.05).mean():.3%}", f"{(jaccard < least - 0.10).mean():.3%}"]


if __name__ == "__main__":
    main()
