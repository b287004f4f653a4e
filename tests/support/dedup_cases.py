"""Small corpora as the buckets of their pages, and what dedup makes of them by its definition."""

import itertools
import random
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from places import DEMO_TEXTS

from swallow_spark.kernels import lsh
from swallow_spark.kernels.minhash.minhash import estimated_jaccard
from swallow_spark.kernels.minhash.xxhash import xxh64

BANDS = 10


Case = list[tuple[int, ...]]  # the pages' buckets, band by band, in the order of doc_ids


class Fall(NamedTuple):
    witness: int
    representative: int
    band: int


def defined(case: Case, order: list[int], policy: str, min_similarity: float | None) -> dict[int, Fall]:
    """The falls of a case, page -> witness, representative, band, by the definitions in words, one page after the
    other. A copy falls by what its first falls by, or by its first."""
    firsts_of_texts: dict[tuple[int, ...], int] = {}
    for page in order:
        firsts_of_texts.setdefault(case[page], page)
    pages = list(firsts_of_texts.values())
    place_of = {page: place for place, page in enumerate(pages)}
    falls = {
        "bucket": _by_bucket if min_similarity is None else _by_firsts,
        "greedy": _by_kept,
        "component": _by_component,
    }[policy](case, pages, min_similarity)
    found: dict[int, Fall] = {}
    for page in pages:
        if page in falls:
            witness, band = falls[page]
            found[page] = Fall(witness, found[witness].representative if witness in found else witness, band)
            assert place_of[witness] < place_of[page]
    for page in order:
        first = firsts_of_texts[case[page]]
        if page != first:
            found[page] = found.get(first, Fall(first, first, 0))
    return found


Witnesses = dict[int, tuple[int, int]]  # page -> witness, band


def _by_bucket(case: Case, pages: list[int], _: float | None) -> Witnesses:
    """A page falls if a page before it shares any bucket; its witness is the first that does."""
    found = {}
    for place, page in enumerate(pages):
        for earlier in pages[:place]:
            shared = [band for band in range(BANDS) if case[earlier][band] == case[page][band]]
            if shared:
                found[page] = earlier, shared[0]
                break
    return found


def _edges(case: Case, pages: list[int], min_similarity: float | None, kept_only: bool) -> dict[int, list[Any]]:
    """page -> (place of the first, first, band) for each bucket whose first (kept) page it is near to."""
    leaders: dict[tuple[int, int], int] = {}
    edges: dict[int, list[Any]] = {}
    places = {page: place for place, page in enumerate(pages)}
    for page in pages:
        met = [(places[leaders[spot]], leaders[spot], spot[0]) for spot in enumerate(case[page]) if spot in leaders]
        if min_similarity is not None:
            met = [m for m in met if similarity(case[page], case[m[1]]) >= np.float32(min_similarity)]
        if met:
            edges[page] = met
        if not (met and kept_only):
            for spot in enumerate(case[page]):
                leaders.setdefault(spot, page)
    return edges


def _by_firsts(case: Case, pages: list[int], min_similarity: float | None) -> Witnesses:
    """A page falls if it is near to the first page of one of its buckets."""
    return {page: min(met)[1:] for page, met in _edges(case, pages, min_similarity, kept_only=False).items()}


def _by_kept(case: Case, pages: list[int], min_similarity: float | None) -> Witnesses:
    """A page falls if it is near to the first kept page of one of its buckets."""
    return {page: min(met)[1:] for page, met in _edges(case, pages, min_similarity, kept_only=True).items()}


def _by_component(case: Case, pages: list[int], min_similarity: float | None) -> Witnesses:
    """The first page of each connected component is kept."""
    edges = _edges(case, pages, min_similarity, kept_only=False)
    component = {page: page for page in pages}
    for page in pages:
        for _, first, _ in edges.get(page, []):
            one, other = sorted((component[page], component[first]), key=pages.index)
            component = {p: one if c == other else c for p, c in component.items()}
    return {
        page: (component[page], min((band for _, _, band in edges.get(page, [])), default=-1))
        for page in pages
        if component[page] != page
    }


def random_case(rng: random.Random) -> Case:
    """Up to 12 pages with few different buckets, so that they share many; some are copies."""
    case: Case = []
    values = rng.choice((2, 5, 30, 200))
    for _ in range(rng.randint(1, 12)):
        if case and rng.random() < 0.2:
            case.append(rng.choice(case))
        else:
            case.append(tuple(rng.randrange(values) if rng.random() < 0.4 else -rng.getrandbits(40) for _ in range(10)))
    return case


def unique(rng: random.Random) -> list[int]:
    return [rng.getrandbits(48) for _ in range(BANDS)]


def chain(links: int, rng: random.Random) -> Case:
    """Page i shares a bucket with page i - 1 and i + 1 alone."""
    pages = [unique(rng) for _ in range(links)]
    for one, (page, following) in enumerate(itertools.pairwise(pages)):
        page[one % BANDS] = following[one % BANDS] = one
    return [tuple(page) for page in pages]


def hot(pages: int, rng: random.Random) -> Case:
    """Pages of one bucket in band 3, which is thinned within tasks; every second is also in a bucket of band 7."""
    case = [unique(rng) for _ in range(pages)]
    for number, page in enumerate(case):
        page[3] = 1
        if number % 2:
            page[7] = 2
    return [tuple(page) for page in case]


def real(texts: int) -> Case:
    """Buckets of real texts, each as it is and in three versions that are edited more and more; some are copies."""
    rng = random.Random(texts)
    found = []
    for text in pq.read_table(DEMO_TEXTS / "wiki.parquet")["text"].to_pylist()[:texts]:
        words = [text[at : at + 20] for at in range(0, min(len(text), 1000), 20)]
        for changed in (0, 0.02, 0.05, 0.15):
            found.append("".join("" if rng.random() < changed else word for word in words))
    rng.shuffle(found)
    return [tuple(keys) for keys in lsh.sketch(pa.array(found), bands=BANDS, rows_per_band=8)["bands"].to_pylist()]


@lru_cache
def cases() -> list[Case]:
    """Well over a thousand small corpora."""
    rng = random.Random(20250812)
    many = [random_case(rng) for _ in range(1500)]
    special = [chain(91, rng), chain(17, rng), chain(2, rng), hot(100, rng), [(5,) * BANDS] * 40, [tuple(unique(rng))]]
    # A hot bucket whose pages have earlier witnesses by other bands, and a chain through a hot bucket.
    mixed = [list(page) for page in hot(60, rng)]
    first = unique(rng)
    for page in mixed[1::3]:
        page[9] = first[9]
    return [*many, *special, real(60), [tuple(first), *map(tuple, mixed)], [*chain(6, rng), *hot(50, rng)]]


def key(case: int, band: int, bucket: int) -> int:
    """A hash, as real keys are, with case and band mixed in."""
    value = xxh64(np.frombuffer(f"{case} {band} {bucket}".encode(), np.uint8), 0, len(f"{case} {band} {bucket}"), 0)
    return int(np.uint64(value).astype(np.int64))


def sketch_of(buckets: tuple[int, ...]) -> bytes:
    return str(buckets).encode().ljust(100, b"\0")[:100]


def sketch_row(number: int, buckets: tuple[int, ...], doc_id: int) -> dict[str, Any]:
    """A page of a case as a row of `sketches`."""
    return {
        "doc_id": doc_id,
        "bands": [key(number, band, bucket) for band, bucket in enumerate(buckets)],
        "sketch": sketch_of(buckets),
        "text_hash": hash((number, buckets)),
    }


def similarity(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    bits = [np.frombuffer(sketch_of(page), np.uint8)[None] for page in (one, other)]
    return float(estimated_jaccard(*bits)[0])


def length_of(number: int, buckets: tuple[int, ...]) -> int:
    """The same for copies, and often the same for others."""
    return 100 + hash((number, buckets)) % 4


def in_order(number: int, case: Case, prefer: str) -> list[int]:
    pages = list(range(len(case)))
    if prefer == "newest":
        return pages[::-1]
    if prefer == "longest":
        return sorted(pages, key=lambda page: (-length_of(number, case[page]), page))
    return pages
