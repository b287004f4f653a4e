"""The page beside an LLM's labels."""

from typing import Any

from synthetic_report import SCRIPT, Parsed

from swallow_spark.report.labels import EXAMPLES, MOST_STRATA, gather, mean, render_labels

SCORES = (0, 1, 2, 3)


def row(number: int, score: int | None, **changes: Any) -> dict[str, Any]:
    return {
        "doc_id": number,
        "url": f"https://a.example/{number}",
        "text": f"本文{number}番。",
        "answer": f"Educational score: {score}",
        "model": "tiny",
        "prompt": "edu-1-0123",
        "outcome": "scored",
        "score": score,
        "stratum": None,
    } | changes


def test_counts_shares_and_means() -> None:
    rows = [row(i, score) for i, score in enumerate([0] * 10 + [1] * 6 + [3] * 4)]
    rows += [row(20, None, outcome="refused", answer="できません"), row(21, None, outcome="unparsable", answer="三点")]
    found = gather("labels.parquet", rows, SCORES)
    assert found.scores == {0: 10, 1: 6, 2: 0, 3: 4}
    assert found.unscored == {"refused": 1, "unparsable": 1, "failed": 0}
    assert found.texts == 22
    assert mean(found.scores) == 0.9
    text = " ".join(Parsed(render_labels(found)).text.split())
    for shown in ("0 10 50.0 % 45.5 %", "2 0 0.0 % 0.0 %", "3 4 20.0 % 18.2 %", "declined 1 – 4.5 %", "0.90", "tiny"):
        assert shown in text
    assert "10 · 50.0 %" in text  # the bar
    assert "By stratum" not in text
    assert "できません" in text
    assert "三点" in text


def test_strata_stand_in_the_order_of_their_scores() -> None:
    names = ["10 to 12", "2 to 4", "-4 to -2", "other", "nan to 1"]
    rows = [row(i, i % 4, stratum=names[i % 5]) for i in range(20)]
    rows.append(row(20, None, outcome="failed", stratum="2 to 4"))
    found = gather("labels.parquet", rows, SCORES)
    assert list(found.strata) == ["-4 to -2", "2 to 4", "10 to 12", "nan to 1", "other"]
    assert found.strata["2 to 4"] == {0: 1, 1: 1, 2: 1, 3: 1}
    assert "2 to 4 4 25.0 % 25.0 % 25.0 % 25.0 % 1.50" in " ".join(Parsed(render_labels(found)).text.split())
    many = gather("labels.parquet", [row(i, 1, stratum=f"{i} to {i + 1}") for i in range(300)], SCORES)
    assert list(many.strata) == [f"{i} to {i + 1}" for i in range(MOST_STRATA)]


def test_examples_are_few_each_wording_once_and_the_same_in_any_order() -> None:
    rows = [row(i, i % 2, text=f"本文{i % 20}番。", url=None) for i in range(200)]
    found = gather("labels.parquet", rows, SCORES)
    assert {kind: len(set(examples)) for kind, examples in found.examples.items()} == {"0": EXAMPLES, "1": EXAMPLES}
    assert render_labels(found) == render_labels(gather("labels.parquet", rows[::-1], SCORES))


def test_no_labels_yet() -> None:
    assert "No text has an answer yet." in Parsed(render_labels(gather("labels.parquet", [], SCORES))).text


def test_what_pages_models_and_servers_say_never_becomes_markup() -> None:
    strange = {"model": SCRIPT, "prompt": f'"{SCRIPT}', "text": SCRIPT, "answer": SCRIPT, "stratum": SCRIPT}
    rows = [
        row(0, 3, url="javascript:alert(1)", **strange),
        row(1, None, outcome="failed", **strange),
        row(
            2,
            1,
            text="\ud800\u202e行\0" + "長" * 100_000,
            answer="{{ 7 * 7 }}{% raw %}",
            url="https://a.example/\u202e/",
        ),
    ]
    page = render_labels(gather(f"{SCRIPT}.parquet", rows, SCORES))
    assert page == page.encode("utf-8", "replace").decode()
    assert len(page) < 60_000
    parsed = Parsed(page)
    tags = {tag for tag, _ in parsed.elements}
    assert not tags & {"script", "iframe", "object", "embed", "form", "base", "link", "img"}
    assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")]
    assert [a["href"] for tag, a in parsed.elements if tag == "a"] == ["https://a.example/1"]
    policies = [a["content"] for tag, a in parsed.elements if tag == "meta" and "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert parsed.text.count(SCRIPT) == 9  # title, heading, model, prompt, stratum; text and answer twice
    assert "javascript:alert(1)" in parsed.text
    assert "{{ 7 * 7 }}{% raw %}" in parsed.text
    assert "\u202e" not in parsed.text
