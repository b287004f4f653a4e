"""A report's contents as they might be, with hostile pages among them."""

import html.parser

from swallow_spark.kernels.order.capacity import needs
from swallow_spark.report.contents import (
    Contents,
    Crawl,
    Cut,
    Dedup,
    Failure,
    Group,
    GroupSize,
    Histogram,
    Ledger,
    Overlap,
    Page,
    Rule,
    Rules,
    RunEntry,
    Sample,
    Sampled,
    Scores,
    Share,
    Size,
    Sizes,
    Sources,
    Stage,
    Step,
    Subset,
)
from swallow_spark.tables import pack_doc_id

SCRIPT = "<script>alert('日本')</script>"


def page(
    offset: int = 0,
    url: str | None = "https://example.jp/記事?a=1&b=2",
    title: str | None = "日本の歴史",
    excerpt: str = "日本の歴史は長い。" * 40,
) -> Page:
    return Page(pack_doc_id(1, 0, offset), "demo", url, title, "2025-08-12", 1234, excerpt)


def contents(**changes: object) -> Contents:
    values: dict[str, object] = {
        "corpus": "/data/corpus",
        "funnel": (
            Step("records", 1240),
            Step("pages", 800, 2_400_000, 1240),
            Step("after dedup", 640, 2_100_000, 800),
            Step("accepted by the rules", 420, 1_500_000, 640),
            Step("wiki-top10", 42, 180_000, 420, is_subset=True),
            Step("wiki-top10-30", 84, 310_000, 420, is_subset=True),
        ),
        "ledger": Ledger(
            1240,
            800,
            {"no_sign_of_japanese": 300, "status": 100, "no_text": 30},
            {"truncated": 7, "bad_http": 3},
            {"unreadable": 1},
            (
                Failure("/data/a.warc.gz", 0, "file", "ingest", "unreadable", "No such file"),
                Failure(f"/data/{SCRIPT}.warc.gz", 123456, "record", "ingest", "truncated", f"{SCRIPT}\x1b[31m"),
            ),
            files=6,
        ),
        "stages": (Stage("ingest", "done", 1, ("0123abcd",), ("0.1.0",), "2026-01-02 03:04:05"),),
        "configuration": {"sketch": {"bands": 40}, "rules": {"preset": SCRIPT}},
        "versions": {"swallow-spark": "0.1.0"},
        "runs": (
            RunEntry("a", "build", "0.1.0", "2026-01-02T03:04:05", {"ingest": 12.3, "annotate": 128.0}),
            RunEntry("b", problem="not JSON"),
        ),
        "dedup": Dedup(
            "bucket",
            "oldest",
            None,
            40,
            20,
            5,
            160,
            25,
            640,
            {},
            (GroupSize(1, 1, 560), GroupSize(2, 2, 50), GroupSize(3, 4, 20), GroupSize(5, 8, 10)),
            Histogram(0, 1, tuple([0] * 30 + [1, 2, 5, 9, 12, 14, 20, 30, 27, 40])),
            (Group(page(1, title=SCRIPT), 7),),
            needs(800, bands=40, rows_per_band=20, bands_per_pass=10),
        ),
        "rules": Rules(
            "swallow-v2",
            640,
            420,
            (
                Rule("num_japanese_letters:low", "below 400", "v2 paper, table of rules", 150, 90),
                Rule("avg_sentence_length:high", "above 90", "v1 code", 80, 30),
                Rule("ellipsis_fraction:high", "above 0.2", "v1 code", 0, 0),
                Rule("host:blocked", "host or a domain above it is listed", "configuration", 3, 1),
            ),
            ("5ch.net",),
            ("hosts.txt",),
        ),
        "scores": tuple(
            Scores(
                name,
                weights,
                Histogram(0, high, tuple((n * 7) % 23 + 40 - n for n in range(40))),
                (Cut("top10", 0.8 * high), Cut("top10-30", 0.6 * high)),
            )
            for name, high, weights in (
                ("wiki", 1, {"__label__positive": 1.0}),
                ("edu", 3, {f"__label__{n}": float(n) for n in range(4)}),
            )
        ),
        "subsets": (
            Subset(
                "wiki-top10", 42, 180_000, 0.8, page(5).doc_id, {"footers trimmed": 1234, "mail addresses masked": 5}
            ),
            Subset("wiki-top10-30", 84, 310_000, None, None),
        ),
        "sizes": Sizes(
            (
                Size("pages", 800, 2_400_000, 1_500_123, 12_345.6),
                Size("rules swallow-v1", None, None),
                Size("rules swallow-v2", 420, 1_500_000, 900_000, float("inf")),
                Size("wiki-top10", 42, 180_000, 108_000, 0.0),
            ),
            f"{SCRIPT}.json",
            200,
            1,
        ),
        "overlaps": (Overlap("top10", ("wiki", "edu"), ((1.0, 0.3125), (None, None))),),
        "samples": (
            Sample(
                "accepted",
                420,
                (
                    Sampled(page(2, url="javascript:alert(1)", title=SCRIPT), (), {"wiki": 0.91}, ("wiki-top10",)),
                    Sampled(page(3, title="あ" * 1_000_000, excerpt=SCRIPT)),
                    Sampled(page(4, title="a\x00b\x1b[31m\u202edcba", url=None, excerpt="")),
                ),
            ),
            Sample("rejected", 220, (Sampled(page(6), ("num_japanese_letters:low", "host:blocked")),)),
            Sample("duplicates", 160, (Sampled(page(7), witness=page(1, title=SCRIPT), similarity=0.934),)),
        ),
        "sources": Sources(
            "accepted pages",
            420,
            (Share("example.jp", 200, 900_000), Share(f"{SCRIPT}.jp", 3, 1_000), Share(None, 1, 5)),
            (Share("utf-8", 700, 2_000_000), Share("shift_jis", 100, 400_000)),
            (Crawl("demo", 6, 800, 640, 420, "2025-08-01", "2025-08-12"),),
        ),
    }
    return Contents(**{**values, **changes})  # type: ignore[arg-type]


VOID = {"meta", "br", "link", "img", "hr", "input"}


class Parsed(html.parser.HTMLParser):
    """The elements of a page, its visible text, and whether all tags are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.text += " " if tag in ("td", "th") else ""

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data
