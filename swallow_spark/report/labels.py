"""The page beside an LLM's labels: their distribution, as in Swallow Corpus v2's Table 5, and examples."""

import hashlib
import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from swallow_spark.report.render import environment

UNSCORED: Final = {
    "refused": "the LLM or a filter declined",
    "unparsable": "an answer of another form than requested",
    "failed": "the server rejected the request",
}
"""Outcomes without a score, in words."""
EXAMPLES: Final = 4  # of each score
MOST_STRATA: Final = 100  # on the page
_MOST_CHARS: Final = 20_000  # of a text or an answer, before the page's own cut


class Example(NamedTuple):
    url: str | None
    text: str  # its beginning
    num_chars: int  # of the whole
    answer: str


class Labels(NamedTuple):
    """Contents of the page. Numbers of texts by score, by outcome without a score, and by stratum and score."""

    name: str
    labellers: Sequence[tuple[str, str]]  # model, and version of the prompt
    scores: Mapping[int, int]
    unscored: Mapping[str, int]
    strata: Mapping[str, Mapping[int, int]]
    examples: Mapping[str, Sequence[Example]]  # by score, or outcome

    @property
    def texts(self) -> int:
        return sum(self.scores.values()) + sum(self.unscored.values())


def gather(name: str, rows: Iterable[Mapping[str, Any]], scores: Sequence[int]) -> Labels:
    """The page's contents from labels (rows of tables.LABELS). Examples are the distinct texts with the smallest
    hashes; only these and the counts are kept in memory."""
    found, labellers = Counter[str](), set[tuple[str, str]]()
    strata: defaultdict[str, Counter[int]] = defaultdict(Counter)
    kept: defaultdict[str, dict[int, Example]] = defaultdict(dict)
    for row in rows:
        kind = str(row["score"]) if row["outcome"] == "scored" else row["outcome"]
        found[kind] += 1
        labellers.add((row["model"], row["prompt"]))
        if row["stratum"] is not None and row["score"] is not None:
            strata[row["stratum"]][row["score"]] += 1
        text, answer = row["text"], row["answer"]
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        kept[kind][int.from_bytes(digest)] = Example(row["url"], text[:_MOST_CHARS], len(text), answer[:_MOST_CHARS])
        if len(kept[kind]) > EXAMPLES:
            del kept[kind][max(kept[kind])]
    return Labels(
        name,
        sorted(labellers),
        {score: found[str(score)] for score in scores},
        {outcome: found[outcome] for outcome in UNSCORED},
        {stratum: strata[stratum] for stratum in heapq.nsmallest(MOST_STRATA, strata, key=_place)},
        {kind: [kept[kind][key] for key in sorted(kept[kind])] for kind in sorted(kept)},
    )


def _place(stratum: str) -> tuple[float, str]:
    """Sorts strata by the score at which they begin; others last, by name."""
    try:
        low = float(stratum.partition(" to ")[0])
    except ValueError:
        low = math.inf
    return (math.inf if math.isnan(low) else low), stratum


def mean(scores: Mapping[int, int]) -> float | None:
    """The mean score; None without scores."""
    number = sum(scores.values())
    return sum(score * texts for score, texts in scores.items()) / number if number else None


def render_labels(labels: Labels) -> str:
    """The page as self-contained HTML with hostile strings escaped. The same labels give the same page."""
    return environment().get_template("labels.html.j2").render(c=labels, mean=mean, unscored_words=UNSCORED)
