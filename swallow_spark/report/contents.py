"""What a run report tells, as plain values: `gather` fills it from a corpus, `render` makes a page of it.

A section whose stage isn't done is None. Strings that come from pages (URLs, titles, texts) are here as they were
found; `render` takes care of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from swallow_spark.kernels.order.capacity import Needs
from swallow_spark.report.change import Change
from swallow_spark.report.resources import Used


@dataclass(frozen=True)
class Step:
    """A step of the funnel. `before` are the documents of the step that it comes from; None for the first."""

    name: str
    documents: int
    characters: int | None = None
    before: int | None = None
    is_subset: bool = False


@dataclass(frozen=True)
class Failure:
    """A row of `failures`, with the file that it lies in; `offset` counts from the file's beginning."""

    path: str
    offset: int
    scope: str
    stage: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Ledger:
    """records = pages + passed over + failures, each counted by itself; outcomes are by reason."""

    records: int
    pages: int
    passed_over: Mapping[str, int]
    failures: Mapping[str, int]
    file_failures: Mapping[str, int]
    first_failures: tuple[Failure, ...] = ()
    files: int = 0
    files_pending: int = 0

    @property
    def accounted(self) -> int:
        return self.pages + sum(self.passed_over.values()) + sum(self.failures.values())


@dataclass(frozen=True)
class Rule:
    """A reason for rejecting pages: how many break the rule, and how many break no other."""

    reason: str
    bound: str
    source: str
    rejected: int
    alone: int


@dataclass(frozen=True)
class SentenceBounds:
    """What bounds on avg_sentence_length reject, and reject alone: of all rules no other does."""

    min: float
    max: float
    rejected: int
    alone: int


@dataclass(frozen=True)
class Rules:
    preset: str
    survivors: int
    accepted: int
    rules: tuple[Rule, ...]
    hosts: tuple[str, ...] = ()
    host_lists: tuple[str, ...] = ()
    sentence_bounds: tuple[SentenceBounds, ...] = ()


@dataclass(frozen=True)
class Page:
    """A page as far as the report shows it: `excerpt` is the beginning of its text."""

    doc_id: int
    crawl: str
    url: str | None
    title: str | None
    date: str
    num_chars: int
    excerpt: str = ""


@dataclass(frozen=True)
class GroupSize:
    """Kept pages that represent `smallest` to `largest` pages, themselves included."""

    smallest: int
    largest: int
    groups: int


@dataclass(frozen=True)
class Group:
    page: Page
    num_duplicates: int


@dataclass(frozen=True)
class Histogram:
    """Counts of values in bins of equal width over low..high; values outside are counted in the outermost bins."""

    low: float
    high: float
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True)
class Dedup:
    """`changes`: what a result before this one had otherwise, kept_before_dropped_now and the other way round; without
    entries where there was none."""

    policy: str
    prefer: str
    min_similarity: float | None
    bands: int
    rows_per_band: int
    shingle_chars: int
    duplicates: int
    exact_copies: int
    survivors: int
    changes: Mapping[str, int]
    sizes: tuple[GroupSize, ...]
    similarities: Histogram
    largest: tuple[Group, ...]
    needs: Needs


@dataclass(frozen=True)
class Cut:
    """The score of the last document in a band."""

    band: str
    score: float


@dataclass(frozen=True)
class Scores:
    classifier: str
    weights: Mapping[str, float]
    histogram: Histogram
    cuts: tuple[Cut, ...] = ()


@dataclass(frozen=True)
class Subset:
    name: str
    documents: int
    characters: int
    threshold: float | None
    last_doc_id: int | None
    cleaned: Mapping[str, int] = field(default_factory=dict)
    """What clean-up did, in words -> how often."""


@dataclass(frozen=True)
class Size:
    """A step's size; None where it isn't known. `error` is the standard error of `tokens`: 0 where they are counted."""

    name: str
    documents: int | None
    characters: int | None
    tokens: int | None = None
    error: float | None = None


@dataclass(frozen=True)
class Sizes:
    rows: tuple[Size, ...]
    tokenizer: str | None
    sample_pages: int
    seed: int


@dataclass(frozen=True)
class Overlap:
    """`shares[i][j]`: the part of the i-th ranking's band that is in the j-th's; None for bands of no pages."""

    band: str
    rankings: tuple[str, ...]
    shares: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class Sampled:
    """A page of a sample, with what was decided about it; of a duplicate, the witness that made it fall."""

    page: Page
    reasons: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    subsets: tuple[str, ...] = ()
    witness: Page | None = None
    similarity: float | None = None


@dataclass(frozen=True)
class Sample:
    """Pages chosen by a hash of doc_id and seed; `kind` is accepted, survivors, rejected or duplicates."""

    kind: str
    of: int
    pages: tuple[Sampled, ...]


@dataclass(frozen=True)
class Share:
    """A host or charset, with the documents and characters that it contributes."""

    name: str | None
    documents: int
    characters: int


@dataclass(frozen=True)
class Crawl:
    name: str
    files: int
    pages: int
    survivors: int | None
    accepted: int | None
    first_date: str
    last_date: str


@dataclass(frozen=True)
class Sources:
    """`hosts` and their total count pages of the step named in `hosts_of`."""

    hosts_of: str
    hosts_total: int
    hosts: tuple[Share, ...]
    charsets: tuple[Share, ...]
    crawls: tuple[Crawl, ...]


@dataclass(frozen=True)
class Stage:
    """A stage's state. `state` is done, not done, partly done or out of date."""

    name: str
    state: str
    units: int
    fingerprints: tuple[str, ...]
    versions: tuple[str, ...]
    finished: str


@dataclass(frozen=True)
class RunEntry:
    """A run as its manifest in `runs/` tells it; `problem` where that can't be read."""

    id: str
    command: str = ""
    version: str = ""
    started: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Contents:
    corpus: str
    funnel: tuple[Step, ...]
    ledger: Ledger
    stages: tuple[Stage, ...]
    configuration: Mapping[str, Any]
    versions: Mapping[str, str]
    runs: tuple[RunEntry, ...] = ()
    dedup: Dedup | None = None
    rules: Rules | None = None
    scores: tuple[Scores, ...] = ()
    subsets: tuple[Subset, ...] = ()
    sizes: Sizes | None = None
    overlaps: tuple[Overlap, ...] = ()
    samples: tuple[Sample, ...] = ()
    sample_seed: int = 1
    sources: Sources | None = None
    change: Change | None = None
    resources: tuple[Used, ...] = ()
