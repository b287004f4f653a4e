"""Plans of mixtures: epochs, shares, samples; no Spark is needed for them."""

from fractions import Fraction

import pytest

from swallow_spark.errors import UsageError
from swallow_spark.stages.export.mixture import Source, items_of, parse_source, parse_tokens, plan_mixture, warnings
from swallow_spark.stages.export.step import Item


def test_the_figures_of_swallow() -> None:
    """The paper's appendix: 709.22 BT by 93.10 BT take 7.62 epochs; in a run of 48.31 BT, 6.34 BT of it do the same."""
    source = parse_source("top10:93.10B", external=False)
    (planned,) = plan_mixture([source], parse_tokens("709.22B"), parse_tokens("48.31BT"))
    assert round(float(planned.epochs), 2) == 7.62
    assert round(float(planned.sample) / 1e9, 2) == 6.34
    assert planned.epochs == Fraction(70922, 9310)
    assert warnings([planned]) == ["top10: 7.62 epochs: beyond 4, repeated text adds little to new text"]


def test_external_corpora_keep_their_shares_and_ours_divide_the_rest() -> None:
    texts = ["edu:9B", "wiki:3B", "old:1B=10%"]
    sources = [parse_source(text, external=False) for text in texts]
    sources += [parse_source(text, external=True) for text in ("wikipedia:1.2B=5%", "code:30B=0.25")]
    planned = {one.name: one for one in plan_mixture(sources, 100 * 10**9)}
    assert sum(one.share for one in planned.values()) == 1
    assert [planned[name].share for name in ("old", "wikipedia", "code")] == [
        Fraction(1, 10),
        Fraction(1, 20),
        Fraction(1, 4),
    ]
    assert planned["edu"].share == Fraction(60, 100) * Fraction(3, 4)
    assert planned["edu"].epochs == planned["wiki"].epochs == Fraction(60, 12)
    assert planned["wikipedia"].epochs == Fraction(5_000, 1_200)
    assert planned["code"].epochs == Fraction(25, 30)
    assert len(warnings(list(planned.values()))) == 4
    assert [one.external for one in planned.values()] == [False, False, False, True, True]


def test_four_epochs_are_no_reason_to_warn() -> None:
    assert warnings(plan_mixture([Source("a", 25, None, False)], 100)) == []
    assert warnings(plan_mixture([Source("a", 25, None, False)], 101)) != []


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a:1B=0.5"], "50.0000%, is not 100 %"),
        (["a:1B=0.5", "b:1B=0.6"], "110.0000%, is not 100 %"),
        (["a:1B=1", "b:1B"], "100.0000%, leaves nothing for the others"),
        (["a:1B", "a:2B"], "a is named twice"),
    ],
)
def test_shares_that_make_no_whole(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_mixture([parse_source(text, external=False) for text in texts], 10**9)


@pytest.mark.parametrize(
    ("text", "external"),
    [
        ("", False),
        (":1B", False),
        ("a=", False),
        ("a=0", False),
        ("a=1.1", False),
        ("a=200%", False),
        ("a:x", False),
        ("a", True),
        ("a:1B", True),
        ("a=5%", True),
        ("a=1.2.3", False),
    ],
)
def test_no_sources(text: str, external: bool) -> None:
    with pytest.raises(UsageError):
        parse_source(text, external=external)


def test_numbers_of_tokens() -> None:
    texts = ["48.31B", "48.31BT", "100e9", "7_000_000", "1.5k", "2T", "3M"]
    expected = [48_310_000_000, 48_310_000_000, 10**11, 7_000_000, 1_500, 2 * 10**12, 3 * 10**6]
    assert [parse_tokens(text) for text in texts] == expected
    for text in ("", "-1", "0", "B", "1e999", "nan", "1.2.3B", "１"):
        with pytest.raises(UsageError, match="is no number of tokens"):
            parse_tokens(text)


def test_what_is_exported_for_epochs() -> None:
    def items(tokens: int, target: int, proxy: int | None = None) -> list[tuple[Item, int]]:
        planned = plan_mixture([Source("a", tokens, None, False)], target, proxy)
        return [(item, times) for _, item, times in items_of(planned)]

    assert items(100, 250) == [(Item("a", "a"), 2), (Item("a-part", "a", Fraction(1, 2)), 1)]
    assert items(100, 300) == [(Item("a", "a"), 3)]
    assert items(100, 25) == [(Item("a", "a", Fraction(1, 4)), 1)]
    small = items(100, 250, 50)
    assert small == [(Item("a", "a", Fraction(1, 5)), 2), (Item("a-part", "a", Fraction(1, 10)), 1)]
    assert sum(item.share * times for item, times in small) * 100 == 50
    assert items_of(plan_mixture([Source("w", 100, Fraction(1), True)], 300)) == []
