"""The capacity for a number of pages: tables, exchanges and memory, by the measurements in docs/scaling.md."""

from typing import Final, NamedTuple

# Bytes in Parquet, for the development pages: three bytes per character before compression.
_PAGE_BYTES_PER_CHAR: Final = 0.79
_PAGE_BYTES: Final = 80  # URL, host, title, date, digest
_FEATURE_BYTES: Final = 240
_PARQUET: Final = 1.1  # sketches are random, so not compressible: a tenth more than their size

# From benchmarks/dedup.py with ten million documents, four in five of them duplicates; with fewer it is less.
_KEY_EXCHANGED_BYTES: Final = 14.4  # per band and page: key, doc_id, band, compressed by Spark
_OTHER_EXCHANGED_BYTES: Final = 620  # per page: copies, witnesses, representatives, both sketches
_SIMILARITY_BYTES: Final = 345  # per page, in the largest exchange after the passes: sketches of page and witness
_EDGE_BYTES: Final = 3.3  # per band and page, written between the passes and deleted at the end
_RESULT_BYTES: Final = 28  # per page, in duplicates or groups

_LOOKUP_BYTES: Final = 8  # doc_id, for each page with a decision

WORKER_BYTES: Final = 1_500_000_000
"""At most, for a Python worker of deduplication that sorts 16 million rows; usually less than half."""
HEAP_BYTES: Final = 2_000_000_000
"""Of the JVM per core: two cores ran with a heap of 4 GB; sorts and joins spill to disk if they need more."""

JACCARD: Final = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
"""The similarities of the printed curve."""


class Needs(NamedTuple):
    """In bytes. `exchanged_at_once`: by a pass of bands, or by the largest exchange after the passes."""

    pages: float
    sketches: float
    features: float
    duplicates_and_groups: float
    between_passes: float
    exchanged: float
    exchanged_at_once: float
    lookups: float


def needs(
    num_pages: int, *, bands: int, rows_per_band: int, bands_per_pass: int, chars_per_page: float = 1500
) -> Needs:
    """The needs of deduplication and the tables for `num_pages` pages. Raises ValueError for a number below 1."""
    if min(num_pages, bands, rows_per_band, bands_per_pass) < 1 or chars_per_page < 0:
        raise ValueError("numbers of pages, bands, rows and bands per pass must be at least 1, characters at least 0")
    of_keys = bands * _KEY_EXCHANGED_BYTES
    a_pass = min(bands, bands_per_pass) * _KEY_EXCHANGED_BYTES
    a_page = Needs(
        pages=_PAGE_BYTES + _PAGE_BYTES_PER_CHAR * chars_per_page,
        sketches=_PARQUET * (8 * bands + bands * rows_per_band / 8 + 16),
        features=_FEATURE_BYTES,
        duplicates_and_groups=_RESULT_BYTES,
        between_passes=_EDGE_BYTES * bands,
        exchanged=of_keys + _OTHER_EXCHANGED_BYTES,
        exchanged_at_once=max(a_pass, _SIMILARITY_BYTES),
        lookups=_LOOKUP_BYTES,
    )
    return Needs(*(float(round(num_pages * value)) for value in a_page))
