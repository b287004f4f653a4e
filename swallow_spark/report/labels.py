"""The page beside an LLM's labels: their distribution (as Swallow Corpus v2's Table 5 shows it), and some of them."""

import hashlib
import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from swallow_spark.report.render import environment

UNSCORED: Final = {
    "refused": "the LLM or a filter declined",
    "unparsable": "an answer that isn't of the form asked for",
    "failed": "the server refuses the question",
}
"""What the outcomes without a score mean, in words."""
EXAMPLES: Final = 4  # of each score
MOST_STRATA: Final = 100  # on the page
_MOST_CHARS: Final = 20_000  # of a text or an answer, before the page's own cut


@dataclass(frozen=True)
class Example:
    url: str | None
    text: str  # its beginning
    num_chars: int  # of the whole
    answer: str


@dataclass(frozen=True)
class Labels:
    """`name` is the file's. Counts are texts: by score, by outcome where there is no score, by stratum and score."""

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
    """What the page shows of labels (rows of tables.LABELS). Examples are the texts with the least hashes, each
    wording once. In memory: the counts, and a few texts of each score."""
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
    """Strata by the score that they begin with; others last, by name."""
    try:
        low = float(stratum.partition(" to ")[0])
    except ValueError:
        low = math.inf
    return (math.inf if math.isnan(low) else low), stratum


def mean(scores: Mapping[int, int]) -> float | None:
    """The mean score; None where there is none."""
    number = sum(scores.values())
    return sum(score * texts for score, texts in scores.items()) / number if number else None


def render_labels(labels: Labels) -> str:
    """The page as HTML, of the report's making: hostile texts, answers and names are escaped, nothing is loaded. The
    same labels give the same page."""
    return environment().get_template("labels.html.j2").render(c=labels, mean=mean, unscored_words=UNSCORED)
