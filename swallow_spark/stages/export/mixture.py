"""Plans of training mixtures: how often each source is read to reach a number of tokens."""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final, NamedTuple

from swallow_spark.config.select import BUILT_IN_SUBSETS
from swallow_spark.errors import UsageError
from swallow_spark.kernels.order.numbers import whole
from swallow_spark.stages.export.step import Item, export
from swallow_spark.stages.run import Run
from swallow_spark.stages.select.step import selected
from swallow_spark.stages.tokens.step import subset_tokens

MOST_EPOCHS: Final = 4
"""Up to here repeated data is nearly as good as new data; beyond, it soon adds little: Muennighoff et al., Scaling
Data-Constrained Language Models, NeurIPS 2023."""
_STEPS: Final = 10**9  # shares of samples are rounded to multiples of 1 / _STEPS


class Source(NamedTuple):
    """A corpus to train on: one of our subsets, or an external one. `share`: its part of the target, 0 to 1; None: what
    the others leave, in proportion to tokens."""

    name: str
    tokens: int | None
    share: Fraction | None
    external: bool


class Planned(NamedTuple):
    """A source's part of the mixture, in tokens: `tokens` that it has, `target` to be read, `sample` for a smaller run,
    which reads it as often."""

    name: str
    external: bool
    tokens: int
    share: Fraction
    target: Fraction
    epochs: Fraction
    sample: Fraction

    def told(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "external": self.external,
            "tokens": self.tokens,
            "share": float(self.share),
            "target_tokens": round(self.target),
            "epochs": float(self.epochs),
            "sample_tokens": round(self.sample),
        }


def parse_tokens(text: str) -> int:
    """A number of tokens: 48.31B or 48.31BT, 100e9, 7_000_000. Raises UsageError for other text."""
    try:
        return whole(re.sub("([kMBGT])T$", r"\1", text))
    except ValueError:
        raise UsageError(f"{text!r} is no number of tokens: write it as 48.31B, 100e9 or 7_000_000") from None


def parse_source(text: str, *, external: bool) -> Source:
    """NAME[:TOKENS][=SHARE], as in wikipedia:1.2B=5%. Raises UsageError for other text."""
    option = "--external" if external else "--subset"
    match = re.fullmatch(r"([^:=]+)(?::([^:=]+))?(?:=([0-9.]+)(%?))?", text)
    if not match or (external and not (match[2] and match[3])):
        form = "NAME:TOKENS=SHARE" if external else "NAME[:TOKENS][=SHARE]"
        raise UsageError(f"{option} {text}: write it as {form}, as in wikipedia:1.2B=5%")
    try:
        share = Fraction(match[3]) / (100 if match[4] else 1) if match[3] else None
    except ValueError:
        share = Fraction(0)
    if share is not None and not 0 < share <= 1:
        raise UsageError(f"{option} {text}: a share is above 0, and at most 1 (100%)")
    return Source(match[1], parse_tokens(match[2]) if match[2] else None, share, external)


def plan_mixture(sources: Sequence[Source], target: int, proxy: int | None = None) -> list[Planned]:
    """Each source's part (of known tokens) of a mixture of `target` tokens; `proxy`: the tokens of a smaller run that
    reads its samples as often. Raises UsageError if the shares don't add up."""
    if twice := {one.name for one in sources if [other.name for other in sources].count(one.name) > 1}:
        raise UsageError(f"{sorted(twice)[0]} is named twice")
    fixed = sum((one.share for one in sources if one.share is not None), Fraction(0))
    open_tokens = sum(one.tokens or 0 for one in sources if one.share is None)
    has_open = any(one.share is None for one in sources)
    if fixed > 1 or (has_open and fixed == 1) or (not has_open and fixed != 1):
        rest = "leaves nothing for the others" if has_open else "is not 100 %"
        raise UsageError(f"the sum of the shares, {float(fixed):.4%}, {rest}")
    planned = []
    for one in sources:
        if not one.tokens:
            raise UsageError(f"{one.name} has no tokens")
        share = one.share if one.share is not None else (1 - fixed) * Fraction(one.tokens, open_tokens)
        of_target = share * target
        sample = Fraction(one.tokens) * (Fraction(proxy, target) if proxy else 1)
        planned.append(Planned(one.name, one.external, one.tokens, share, of_target, of_target / one.tokens, sample))
    return planned


def warnings(planned: Sequence[Planned]) -> list[str]:
    """The sources that are repeated too often."""
    return [
        f"{one.name}: {float(one.epochs):.2f} epochs: beyond {MOST_EPOCHS}, repeated text adds little to new text"
        for one in planned
        if one.epochs > MOST_EPOCHS
    ]


def with_tokens(run: Run, sources: Sequence[Source]) -> list[Source]:
    """The sources with their tokens; counts those of subsets that the call doesn't give.

    Raises UsageError if that takes a tokenizer and none is configured.
    """
    found = []
    for source in sources:
        if source.tokens is None:
            if source.name in BUILT_IN_SUBSETS:
                raise UsageError(
                    f"--subset {source.name}: its tokens aren't counted: give them, as {source.name}:93.1B"
                )
            selected(run, [source.name])
            if not run.config.tokens.counting:
                raise UsageError(
                    f"--subset {source.name}: its tokens aren't known: configure a tokenizer "
                    f"(--set tokens.encoding=NAME), or give the number ({source.name}:93.1B)"
                )
            counted = subset_tokens(run, source.name)
            source = source._replace(tokens=sum(manifest.counts.get("tokens", 0) for manifest in counted))
        found.append(source)
    return found


def items_of(planned: Sequence[Planned]) -> list[tuple[Planned, Item, int]]:
    """(source, exported item, how often to read it): a subset, or its sample for a smaller run, for whole epochs, and a
    part of it for the rest of an epoch."""
    found = []
    for one in planned:
        if one.external:
            continue
        whole, rest = divmod(one.epochs, 1)
        base = one.sample / one.tokens
        if whole:
            found.append((one, Item(one.name, one.name, _rounded(base)), int(whole)))
        if _rounded(base * rest):
            name = f"{one.name}-part" if whole else one.name
            found.append((one, Item(name, one.name, _rounded(base * rest)), 1))
    return found


def _rounded(share: Fraction) -> Fraction:
    return Fraction(round(share * _STEPS), _STEPS)


def export_mixture(
    run: Run,
    planned: Sequence[Planned],
    target: int,
    proxy: int | None,
    output: str,
    format_: str,
    size: int,
    seed: int,
) -> dict[str, Any]:
    """Writes the subsets' part of the mixture as shards; the manifest says how often to read each directory."""
    parts = items_of(planned)
    mixture = {
        "target_tokens": target,
        "proxy_tokens": proxy,
        "sources": [one.told() for one in planned],
        "read": {item.name: times for _, item, times in parts},
    }
    return export(run, [item for _, item, _ in parts], output, format_, size, seed, {"mixture": mixture})
