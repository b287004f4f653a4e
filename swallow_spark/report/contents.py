"""The contents of a run report as plain values: `gather` collects them from a corpus, `render` turns them into a page.

Sections whose stage isn't done are None. Strings from pages (URLs, titles, texts) are unescaped here; `render` escapes
them.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from swallow_spark.kernels.order.capacity import Needs
from swallow_spark.report.change import Change, LastReport
from swallow_spark.report.resources import Resources


class Step(NamedTuple):
    """A step of the funnel. `before`: documents of the step before; None for the first."""

    name: str
    documents: int
    characters: int | None = None
    before: int | None = None
    is_subset: bool = False


class Failure(NamedTuple):
    """A row of `failures`, with its file; `offset` counts from the beginning of the file."""

    path: str
    offset: int
    scope: str
    stage: str
    reason: str
    detail: str


class Ledger(NamedTuple):
    """records = pages + passed over + failures, each counted independently; outcomes are by reason."""

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


class Rule(NamedTuple):
    """A reason for rejecting pages: how many break the rule, and how many break no other."""

    reason: str
    bound: str
    source: str
    rejected: int
    alone: int


class SentenceBounds(NamedTuple):
    """Pages that bounds on avg_sentence_length reject, and those that no other rule rejects (`alone`)."""

    min: float
    max: float
    rejected: int
    alone: int


class Pair(NamedTuple):
    """Two reasons and the pages that have both."""

    first: str
    second: str
    pages: int


class Bar(NamedTuple):
    """The pages whose value is in low <= value < high; `rejected`: the bounds reject these values."""

    low: float
    high: float
    pages: int
    rejected: bool


class Bounded(NamedTuple):
    """A feature's values on all pages. `bounds`: value and words; `unknown`: pages without a value;
    `beyond`: those with a value beyond the last bar."""

    name: str
    bars: tuple[Bar, ...]
    bounds: tuple[tuple[float, str], ...]
    unknown: int
    beyond: int

    @property
    def total(self) -> int:
        return self.beyond + sum(bar.pages for bar in self.bars)


class Rules(NamedTuple):
    preset: str
    survivors: int
    accepted: int
    rules: tuple[Rule, ...]
    hosts: tuple[str, ...] = ()
    host_lists: tuple[str, ...] = ()
    sentence_bounds: tuple[SentenceBounds, ...] = ()
    pairs: tuple[Pair, ...] = ()


class Page(NamedTuple):
    """A page as the report shows it: `excerpt` is the beginning of its text."""

    doc_id: int
    crawl: str
    url: str | None
    title: str | None
    date: str
    num_chars: int
    excerpt: str = ""


class GroupSize(NamedTuple):
    """Kept pages that represent `smallest` to `largest` pages, themselves included."""

    smallest: int
    largest: int
    groups: int


class Group(NamedTuple):
    page: Page
    num_duplicates: int


class Histogram(NamedTuple):
    """Counts of values in bins of equal width over low..high; values outside are counted in the outermost bins."""

    low: float
    high: float
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


class Dedup(NamedTuple):
    """`changes`: differences from the previous result (kept_before_dropped_now, dropped_before_kept_now), if any."""

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


class Cut(NamedTuple):
    """The score of the last document in a top-k band."""

    band: str
    score: float


class Scores(NamedTuple):
    classifier: str
    weights: Mapping[str, float]
    histogram: Histogram
    cuts: tuple[Cut, ...] = ()


class Subset(NamedTuple):
    name: str
    documents: int
    characters: int
    threshold: float | None
    last_doc_id: int | None
    cleaned: Mapping[str, int] = {}
    """Effect of clean-up, in words -> count."""


class Size(NamedTuple):
    """A step's size; None if unknown. `error` is the standard error of `tokens`: 0 if they are counted."""

    name: str
    documents: int | None
    characters: int | None
    tokens: int | None = None
    error: float | None = None


class Sizes(NamedTuple):
    rows: tuple[Size, ...]
    tokenizer: str | None
    sample_pages: int
    seed: int


class Overlap(NamedTuple):
    """`shares[i][j]`: the share of the i-th ranking's top-k band that is in the j-th's; None for empty bands."""

    band: str
    rankings: tuple[str, ...]
    shares: tuple[tuple[float | None, ...], ...]


class Sampled(NamedTuple):
    """A page of a sample with its verdict, scores and subsets; for a duplicate, its witness and how the two texts
    differ. `value`: that of the feature or score that it was chosen by."""

    page: Page
    reasons: tuple[str, ...] = ()
    scores: Mapping[str, float] = {}
    subsets: tuple[str, ...] = ()
    witness: Page | None = None
    similarity: float | None = None
    value: float | None = None
    diff: tuple[tuple[str, str], ...] = ()
    """(mark, line): `-` is only in the witness, `+` only in the page, `=` counts lines that are in both."""


class OfReason(NamedTuple):
    """Some of the pages that a rule rejects."""

    reason: str
    of: int
    pages: tuple[Sampled, ...]


class Beside(NamedTuple):
    """The pages next to a bound, on the side that the rule rejects and on the one that passes."""

    feature: str
    bound: str
    rejected: tuple[Sampled, ...]
    passing: tuple[Sampled, ...]


class OfSubset(NamedTuple):
    """The first and last pages of a subset by `classifier`, and the first ones behind its end. Without a classifier
    that orders it, `top` are pages chosen by a hash."""

    name: str
    classifier: str | None
    top: tuple[Sampled, ...]
    bottom: tuple[Sampled, ...]
    below: tuple[Sampled, ...]


class Sample(NamedTuple):
    """Pages chosen by a hash of doc_id and seed; `kind` is accepted, survivors, rejected or duplicates."""

    kind: str
    of: int
    pages: tuple[Sampled, ...]


class Share(NamedTuple):
    """Documents and characters of a host or charset."""

    name: str | None
    documents: int
    characters: int


class Crawl(NamedTuple):
    name: str
    files: int
    pages: int
    survivors: int | None
    accepted: int | None
    first_date: str
    last_date: str


class Sources(NamedTuple):
    """`hosts` and `hosts_total` count pages of the step named in `hosts_of`."""

    hosts_of: str
    hosts_total: int
    hosts: tuple[Share, ...]
    charsets: tuple[Share, ...]
    crawls: tuple[Crawl, ...]


class Hints(NamedTuple):
    """Japanese pages whose site asks robots for something (`any`, and by directive), and pages whose text may be cut
    (None: not known)."""

    robots: Mapping[str, int]
    any_robots: int
    truncated: Mapping[bool | None, int]


class Opening(NamedTuple):
    """The report in a paragraph. `problems` is empty if all is well."""

    sentences: tuple[str, ...]
    problems: tuple[str, ...]


class Stage(NamedTuple):
    """`state` is done, not done, partly done or out of date."""

    name: str
    state: str
    units: int
    fingerprints: tuple[str, ...]
    versions: tuple[str, ...]
    finished: str


class RunEntry(NamedTuple):
    """A run from its manifest in `runs/`; `problem` if that can't be read."""

    id: str
    command: str = ""
    version: str = ""
    started: str = ""
    seconds: Mapping[str, float] = {}
    problem: str = ""


class Contents(NamedTuple):
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
    resources: Resources | None = None
    features: tuple[Bounded, ...] = ()
    hints: Hints | None = None
    of_reasons: tuple[OfReason, ...] = ()
    beside: tuple[Beside, ...] = ()
    of_subsets: tuple[OfSubset, ...] = ()
    last_report: LastReport | None = None
    opening: Opening = Opening((), ())
