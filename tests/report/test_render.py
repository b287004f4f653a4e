import re

import pytest
from synthetic_report import SCRIPT, Parsed, contents, page

from swallow_spark.report import plots
from swallow_spark.report.contents import Cut, Histogram, Ledger, Sample, Sampled, Scores, Size, Sizes, Step
from swallow_spark.report.render import clean, formula, link, percent, render


@pytest.fixture(scope="module")
def parsed() -> Parsed:
    return Parsed(render(contents()))


def test_the_same_contents_give_the_same_page() -> None:
    assert render(contents()) == render(contents())


def test_what_pages_say_never_becomes_markup(parsed: Parsed) -> None:
    tags = {tag for tag, _ in parsed.elements}
    assert not tags & {"script", "iframe", "object", "embed", "form", "base", "link", "img"}
    assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")]
    assert parsed.text.count(SCRIPT) >= 7  # titles, excerpt, path, detail, host, configuration: all shown as text


def test_nothing_is_loaded_and_the_policy_says_so(parsed: Parsed) -> None:
    policies = [a["content"] for tag, a in parsed.elements if tag == "meta" and "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    for tag, attributes in parsed.elements:
        assert "src" not in attributes
        for name in ("href", "xlink:href"):
            if name in attributes and tag != "a":
                assert (attributes[name] or "").startswith("#")
    page = render(contents())
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_links_are_web_addresses_without_referrer(parsed: Parsed) -> None:
    links = [attributes for tag, attributes in parsed.elements if tag == "a"]
    beside = ("#", "report.json", "features.csv")
    outside = [attributes for attributes in links if not (attributes["href"] or "").startswith(beside)]
    assert outside
    for attributes in outside:
        assert (attributes["href"] or "").startswith("https://example.jp/")
        assert attributes["rel"] == "noopener noreferrer nofollow"
    assert "javascript:alert(1)" in parsed.text  # shown, but no link


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "//example.jp/",
        "/relative",
        "https:example.jp",
        "http://",
        "https://user:secret@example.jp/",
        "https://good.jp@evil.jp/",
        "https://example.jp/a b",
        "https://example.jp/\x00",
        "https://example.jp/\u202egpj.exe",
        "https://example.jp/\u3000",
        'https://example.jp/"onclick="x',
        "https://[::1",
        "https://example.jp/" + "a" * 3000,
        "",
        None,
    ],
)
def test_what_is_no_link(url: str | None) -> None:
    assert link(url) is None


@pytest.mark.parametrize(
    "url", ["http://example.jp", "HTTPS://Example.jp/a?b=1&c=2#d", "https://日本.jp/記事", "https://a.jp:8080/~x/(y)'z"]
)
def test_what_is_a_link(url: str) -> None:
    assert link(url) == url


def test_text_is_cut_and_made_harmless() -> None:
    assert clean("a\x00b\x1b[31m\u202edc\ud800ba\u2066") == r"a\x00b\x1b[31m\u202edc\ud800ba\u2066"
    assert clean(" a\n\n\tb\u3000 c ") == "a b c"
    assert clean(None) == ""
    assert clean("あ" * 200) == "あ" * 200
    assert clean("あ" * 201) == "あ" * 199 + "…"
    assert len(clean("あ" * 5_000_000, 50)) == 50
    assert clean("👨‍👩‍👧 ﾊﾝｶｸ") == "👨‍👩‍👧 ﾊﾝｶｸ"


def test_a_huge_title_does_not_make_a_huge_page() -> None:
    one = Sample("accepted", 1, (Sampled(page(title="<" * 10_000_000)),))
    base = len(render(contents(samples=())))
    assert len(render(contents(samples=(one,)))) < base + 10_000


def test_the_sum_is_shown_and_checked(parsed: Parsed) -> None:
    assert "The sum holds: 1,240 records read, 1,240 accounted for." in parsed.text
    broken = Ledger(1240, 800, {"status": 1}, {}, {})
    text = Parsed(render(contents(ledger=broken))).text
    assert "The sum does not hold: 1,240 records were read, 801 are accounted for." in text


def test_shares_of_the_funnel(parsed: Parsed) -> None:
    text = " ".join(parsed.text.split())
    assert "accepted by the rules 420 65.6 % 52.5 % 1,500,000 62.5 % 3,571 " in text
    assert "records 1,240 – – – – – " in text


def test_what_is_not_done_is_said() -> None:
    early = contents(
        funnel=(Step("records", 0), Step("pages", 0, 0, 0)),
        ledger=Ledger(0, 0, {}, {}, {}),
        dedup=None,
        rules=None,
        scores=(),
        subsets=(),
        samples=(),
        sources=None,
        runs=(),
        stages=(),
    )
    text = " ".join(Parsed(render(early)).text.split())
    for command in ("ingest", "decide", "deduplicate", "score"):
        assert f"swallow-spark {command} computes this." in text
    assert "No pages to show: the corpus has none." in text


def test_sizes_and_overlap(parsed: Parsed) -> None:
    text = " ".join(parsed.text.split())
    assert "pages 800 2,400,000 1,500,123 ± 12,346 " in text
    assert "rules swallow-v1 (not decided: swallow-spark decide --preset swallow-v1) – – – – " in text
    assert "rules swallow-v2 420 1,500,000 900,000 unknown " in text
    assert "wiki-top10 42 180,000 108,000 counted " in text
    assert "top10: of in wiki in edu wiki 100.0 % 31.2 % edu – – " in text
    without = contents(sizes=Sizes((Size("pages", 8, 800),), None, 200, 1), overlaps=())
    assert "No tokens: no tokenizer is configured" in " ".join(Parsed(render(without)).text.split())


def test_what_dedup_takes_is_told_in_bytes(parsed: Parsed) -> None:
    said = " ".join(" ".join(parsed.text).split()) if isinstance(parsed.text, list) else parsed.text
    assert "For these 800 pages, the sketches take about 384 k bytes" in said


def dedup_text(**values: object) -> str:
    dedup = contents().dedup
    assert dedup
    return " ".join(Parsed(render(contents(dedup=dedup._replace(**values)))).text.split())


def test_what_dedup_did(parsed: Parsed) -> None:
    text = " ".join(parsed.text.split())
    assert "160 pages are dropped (20.0 %): 25 have the same text as an earlier page, 135 are near-duplicates." in text
    assert "Compared with the previous result" not in text
    changes = {"kept_before_dropped_now": 3, "dropped_before_kept_now": 1200}
    assert "3 pages that were kept are now dropped, and 1,200 that were dropped are now kept." in dedup_text(
        changes=changes
    )
    (curve,) = (
        attributes for _, attributes in parsed.elements if "being found" in (attributes.get("aria-label") or "")
    )
    assert curve["role"] == "img"
    assert "0.5 at 0.82" in text  # 40 bands of 20: where the curve has risen by half


@pytest.mark.parametrize(
    ("policy", "prefer", "least", "rule"),
    [
        ("bucket", "oldest", None, "an earlier page shares one of its buckets. Of two pages the earlier is the one"),
        (
            "bucket",
            "newest",
            0.85,
            "the earliest page of one of its buckets has an estimated similarity to it of at least 0.85",
        ),
        ("greedy", "oldest", None, "an earlier kept page shares one of its buckets."),
        (
            "greedy",
            "longest",
            0.8,
            "the earliest kept page of one of its buckets has an estimated similarity to it of at least 0.8,",
        ),
        ("component", "newest", None, "its connected component has an earlier page; a page is connected to those that"),
        (
            "component",
            "oldest",
            0.8,
            "connected to the earliest one of each of its buckets that has an estimated similarity to it of",
        ),
    ],
)
def test_the_rule_of_dedup_in_words(policy: str, prefer: str, least: float | None, rule: str) -> None:
    text = dedup_text(policy=policy, prefer=prefer, min_similarity=least)
    assert f"Policy {policy}, order {prefer}: a page is dropped if and only if" in text
    assert rule in text
    orders = {"oldest": "was registered first", "newest": "was registered last", "longest": "is longer, or was"}
    assert [name for name, words in orders.items() if f"the earlier is the one that {words}" in text] == [prefer]


def test_dedup_before_decide_has_no_characters_yet() -> None:
    steps = (Step("records", 9), Step("pages", 8, 800, 9), Step("after dedup", 6, None, 8))
    page = render(contents(funnel=steps, rules=None))
    assert "not counted yet" in page


def test_stages_out_of_date_are_a_warning() -> None:
    stage = contents().stages[0]._replace(name="decide swallow-v2", state="out of date")
    assert "decide swallow-v2 is out of date" in Parsed(render(contents(stages=(stage,)))).text


def test_percentages_never_round_to_none_or_all() -> None:
    assert [percent(*pair) for pair in ((0, 9), (1, 9999), (9998, 9999), (9, 9), (1, 3), (1, 0), (None, 5))] == [
        "0.0 %",
        "< 0.1 %",
        "> 99.9 %",
        "100.0 %",
        "33.3 %",
        "–",
        "–",
    ]


def test_formula_of_a_score() -> None:
    assert formula({"__label__0": 0.0, "__label__1": 1.0, "__label__2": 2.5}) == "P(1) + 2.5 × P(2)"
    assert formula({"__label__a": 0.0}) == "0"


def test_ids_of_plots_are_unique_and_known(parsed: Parsed) -> None:
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    page = render(contents())
    used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', page))
    assert {one or other for one, other in used} <= set(ids)


def test_plots_follow_the_colours_of_the_page() -> None:
    for svg in (plots.funnel(contents().funnel), plots.outcomes(contents().ledger)):
        assert "var(--main)" in svg
        assert not re.findall(r"#[0-9a-f]{6}\b", svg)
        assert "<style" not in svg
        assert "<?xml" not in svg


def test_labels_of_plots_are_escaped_and_no_formulas() -> None:
    svg = plots.outcomes(Ledger(3, 1, {"<b>$x$&": 2}, {}, {}))
    assert "&lt;b&gt;$x$&amp;" in svg


def test_plots_of_nothing() -> None:
    assert plots.scores(Scores("a", {}, Histogram(0, 1, (0, 0)), (Cut("top10", 0.5),)))
    assert plots.group_sizes(())
    assert plots.outcomes(Ledger(0, 0, {}, {}, {}))
