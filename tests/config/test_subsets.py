"""What [[subsets]] and [selection] mean, and which of them are refused."""

import json
from fractions import Fraction

import pytest

from swallow_spark.config.load import Config, load
from swallow_spark.config.select import percent_of, points_of
from swallow_spark.errors import ConfigError
from swallow_spark.pipeline import STAGES
from swallow_spark.stages.stage import Lineage


def of(subsets: str, *more: str) -> Config:
    return load("demo", [f"subsets={subsets}", *more])


def test_the_simple_form() -> None:
    plan = of("[{classifier='edu', bands=['top5', 'top5-20']}, {classifier='wiki'}]").plan
    assert [subset.name for subset in plan.subsets] == ["edu-top5", "edu-top5-20", "wiki-top10", "wiki-top10-30"]
    assert {name: ranking.by for name, ranking in plan.rankings.items()} == {"edu": "documents", "wiki": "documents"}
    assert plan.classifiers == ("edu", "wiki")


def test_bands_of_parts_need_no_entry_of_their_own() -> None:
    plan = of(
        "[{name='u', union=['edu-top10', 'wiki-top0.5-10']}, {name='x', intersection=['edu-top10', 'wiki-top10']}]"
    ).plan
    assert [(subset.name, subset.needs_all) for subset in plan.subsets] == [("u", False), ("x", True)]
    assert [(part.ranking, part.band.name) for part in plan.parts] == [
        ("edu", "top10"),
        ("wiki", "top0.5-10"),
        ("wiki", "top10"),
    ]


def test_weights_are_exact_decimals() -> None:
    plan = of("[{name='m', ranks={edu=0.1, wiki=3}}]").plan
    assert plan.rankings["m"].ranks == {"edu": Fraction(1, 10), "wiki": Fraction(3)}
    assert (
        of("[{name='m', ranks={edu=0.10, wiki=3.0}}]").meaning()
        == of("[{name='m', ranks={edu=0.1, wiki=3}}]").meaning()
    )


def selection_of(config: Config) -> str:
    """The fingerprint of what is selected."""
    return Lineage(STAGES, config, None).fingerprint("cuts")


def test_a_configuration_survives_being_written_down() -> None:
    config = of("[{name='m', ranks={edu=0.1, wiki=3}}, {name='u', union=['edu-top10', 'm-top5']}]")
    again = load(json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again.meaning() == config.meaning()
    assert selection_of(again) == selection_of(config)


@pytest.mark.parametrize(
    ("subsets", "message"),
    [
        ("[{classifier='edu', ranks={edu=1, wiki=1}}]", "exactly one of classifier, ranks, union, intersection"),
        ("[{name='x'}]", "given: none"),
        ("[{ranks={edu=1, wiki=1}}]", "`ranks` needs a `name`"),
        ("[{name='m', ranks={edu=1}}]", "at least 2"),
        ("[{name='m', ranks={edu=1, wiki=0}}]", "0 is no weight"),
        ("[{name='m', ranks={edu=1, wiki=0.0001}}]", "0.0001 is no weight"),
        ("[{name='m', ranks={edu=1, nix=1}}]", "no classifier 'nix' is configured (there are: wiki, edu)"),
        ("[{name='u', union=['edu-top10']}]", "two different bands are needed"),
        ("[{name='u', union=['edu', 'wiki-top10']}]", "'edu' is no band of a ranking"),
        ("[{name='u', union=['nix-top10', 'wiki-top10']}]", "u: no ranking 'nix' (there are: wiki, edu)"),
        ("[{name='u', union=['edu-top10', 'wiki-top10'], by='tokens'}]", "`union` takes no by"),
        ("[{classifier='edu', bands=['top10', 'top10']}]", "a band is named twice"),
        ("[{classifier='edu', bands=[]}]", "at least 1"),
        ("[{classifier='edu'}, {classifier='edu', by='characters'}]", "two rankings are named 'edu'"),
        ("[{classifier='edu'}, {name='edu-top10', union=['edu-top10', 'wiki-top10']}]", "two are named 'edu-top10'"),
        ("[{name='wiki', classifier='edu'}]", "'wiki' is the name of a classifier"),
        ("[{name='accepted', union=['edu-top10', 'wiki-top10']}]", "'accepted' is the name of"),
        ("[{name='survivors', union=['edu-top10', 'wiki-top10']}]", "'survivors' is the name of"),
        ("[{classifier='edu', by='tokens'}]", "bands by tokens need a tokenizer"),
        (
            f"[{{classifier='edu', bands={[f'top{n}' for n in range(1, 65)]}}}]",
            "64 are configured, at most 63",
        ),
    ],
)
def test_refused(subsets: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        of(subsets)
    assert message in str(caught.value)


def test_thresholds() -> None:
    bands = {"top10-30.5": {"documents": 7, "score": 0.25, "doc_id": 5}, "top10": {"documents": 3, "score": 0.5}}
    points = points_of(json.dumps({"edu": bands, "wiki": {"top1": None}}).encode())
    assert points == {"edu": {"30.5": 0.25, "10": 0.5}, "wiki": {}}
    for broken in ("[]", "{", '{"edu": {"best": {}}}', '{"edu": {"top1": {"score": "x"}}}', '{"edu": {"top1": {}}}'):
        with pytest.raises(ValueError, match=r"no thresholds\.json"):
            points_of(broken.encode())
    selection = of(
        "[{classifier='edu', bands=['top10-30.5']}]", "selection.thresholds={edu={'10'=0.5, '30.50'=0.25}}"
    ).selection
    assert selection.threshold("edu", Fraction(305, 1000)) == 0.25
    assert selection.threshold("edu", Fraction(3, 10)) is None
    assert [percent_of(share) for share in (Fraction(1, 10), Fraction(305, 1000), Fraction(1))] == ["10", "30.5", "100"]


@pytest.mark.parametrize(
    ("subsets", "thresholds", "message"),
    [
        ("[{classifier='edu'}]", "{edu={'10'=0.5}}", "selection.thresholds: none for edu at 30 %"),
        ("[{classifier='edu', bands=['top10-30']}]", "{edu={'30'=0.5}}", "none for edu at 10 %"),
        ("[{name='m', ranks={edu=1, wiki=1}}]", "{m={'10'=0.5, '30'=0.1}}", "m is made of ranks"),
        ("[{classifier='edu'}]", "{edu={'10'=0.5, '30'=0.6}}", "a larger share can't begin at a higher score"),
        ("[{classifier='edu'}]", "{edu={'0'=0.5}}", "is no band"),
        ("[{classifier='edu'}]", "{edu={'10'=nan}}", "finite"),
    ],
)
def test_thresholds_refused(subsets: str, thresholds: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        of(subsets, f"selection.thresholds={thresholds}")
    assert message in str(caught.value)


def test_thresholds_change_what_is_selected() -> None:
    one, other = (
        selection_of(of("[{classifier='edu', bands=['top10']}]", *more))
        for more in ([], ["selection.thresholds={edu={'10'=0.5}}"])
    )
    assert one != other
