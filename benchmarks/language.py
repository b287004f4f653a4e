"""Detection of Japanese pages against known languages.

Run: .venv/bin/python -m benchmarks.language MANIFEST WARC...

MANIFEST (tab-separated, may be gzipped) has columns record_id, lang, html_lang and url. `lang` is `ja`, `ja+en` (a
page of a Japanese folder with 1 to 5 % of Japanese letters, left out of recall), `en`, `zh`, ...: the language of the
folder that a page comes from. So an `en` page that is in fact Japanese counts as a false positive; these are
listed for review, and counted again without those that have 400 Japanese letters, and without those whose main text is
at least a tenth kana, which no other language is.

Pages without text are left out. Intervals are Wilson's, 95 %. The precision at a crawl's share of Japanese follows
from recall and the false positive rate.
"""

import csv
import gzip
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from swallow_spark.kernels import japanese
from swallow_spark.kernels.html import html
from swallow_spark.kernels.html.page import Limits, Page, PassedOver, read_page
from swallow_spark.kernels.warc import http, warc

JAPANESE_SHARE = 0.032  # of a crawl's pages, by Common Crawl's statistics of languages
MIN_JAPANESE_LETTERS = 400
JAPANESE_LETTER = re.compile("[ぁ-ゖァ-ヺー々ｦ-ﾟ\u3400-\u4dbf\u4e00-\u9fff]")
KANA_OF_JAPANESE = 0.1
Z = 1.96  # standard deviations on either side of 95 %


class Case(NamedTuple):
    """A page, its language by the manifest, and the decision."""

    lang: str
    url: str
    prefilter: bool
    decision: bool
    by_text: bool
    """By the main text alone."""
    japanese_letters: int
    """In all the text that the page shows."""
    score: float
    """Of the main text."""


def read_manifest(path: Path) -> dict[str, dict[str, str]]:
    """The rows by record_id."""
    data = path.read_bytes()
    lines = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8").splitlines()
    return {row["record_id"]: row for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)}


def cases(manifest: dict[str, dict[str, str]], warcs: list[Path]) -> Iterator[Case]:
    """The pages with text."""
    limits = Limits()
    for path in warcs:
        with path.open("rb") as stream:
            for record in warc.read(stream):
                if not isinstance(record, warc.Record) or record.headers["warc-record-id"] not in manifest:
                    continue
                outcome = read_page(record, limits)
                taken = isinstance(outcome, Page)
                if not taken and outcome not in (PassedOver("no_sign_of_japanese"), PassedOver("not_japanese")):
                    continue
                response = http.parse(record.block)
                body = http.body(response, limits.max_inflated_bytes, limits.max_inflated_ratio).content
                page = html.extract(body, response.content_type)
                if not page.text:
                    continue
                row = manifest[record.headers["warc-record-id"]]
                yield Case(
                    row["lang"],
                    row["url"],
                    outcome != PassedOver("no_sign_of_japanese"),
                    taken,
                    japanese.is_japanese(page.text),
                    len(JAPANESE_LETTER.findall(page.page_text)),
                    japanese.language_score(page.text),
                )


def wilson(found: int, total: int) -> str:
    """The share, and Wilson's interval around it."""
    if not total:
        return "-"
    share = found / total
    middle = (share + Z**2 / (2 * total)) / (1 + Z**2 / total)
    half = Z / (1 + Z**2 / total) * (share * (1 - share) / total + Z**2 / (4 * total**2)) ** 0.5
    return f"{found} of {total} | {share:.4f} | {max(0.0, middle - half):.4f} to {min(1.0, middle + half):.4f}"


def main() -> None:
    """Prints the tables."""
    found = list(cases(read_manifest(Path(sys.argv[1])), [Path(name) for name in sys.argv[2:]]))
    by_lang: dict[str, list[Case]] = defaultdict(list)
    for case in found:
        by_lang[case.lang].append(case)
    ja = by_lang["ja"]
    others = [case for case in found if not case.lang.startswith("ja")]
    chinese = [case for case in others if case.lang.startswith("zh")]
    lessons = [case for case in by_lang["ja+en"] if case.japanese_letters >= MIN_JAPANESE_LETTERS]
    print("| | pages | share | 95 % interval |\n|---|---:|---:|---|")
    print(f"| prefilter: recall, `ja` | {wilson(sum(case.prefilter for case in ja), len(ja))} |")
    print(f"| prefilter: other languages that pass | {wilson(sum(case.prefilter for case in others), len(others))} |")
    print(f"| decision: recall, `ja` | {wilson(sum(case.decision for case in ja), len(ja))} |")
    print(f"| by the main text alone: recall, `ja` | {wilson(sum(case.by_text for case in ja), len(ja))} |")
    print(
        f"| decision: recall, `ja+en` with {MIN_JAPANESE_LETTERS} Japanese letters or more "
        f"| {wilson(sum(case.decision for case in lessons), len(lessons))} |"
    )
    print(f"| decision: false positives | {wilson(sum(case.decision for case in others), len(others))} |")
    fewer = [case for case in others if not case.decision or case.japanese_letters < MIN_JAPANESE_LETTERS]
    print(
        f"| the same without pages of {MIN_JAPANESE_LETTERS} Japanese letters or more "
        f"| {wilson(sum(case.decision for case in fewer), len(fewer))} |"
    )
    truly = [case for case in others if case.score < KANA_OF_JAPANESE]
    print(f"| the same without pages in Japanese | {wilson(sum(case.decision for case in truly), len(truly))} |")
    print(f"| decision: false positives, Chinese | {wilson(sum(case.decision for case in chinese), len(chinese))} |")
    for name, members in (
        ("as labelled", others),
        (f"without pages of {MIN_JAPANESE_LETTERS} Japanese letters or more", fewer),
        ("without pages in Japanese", truly),
    ):
        recall = sum(case.decision for case in ja) / max(1, len(ja))
        rate = sum(case.decision for case in members) / max(1, len(members))
        right, wrong = JAPANESE_SHARE * recall, (1 - JAPANESE_SHARE) * rate
        precision = right / max(1e-12, right + wrong)
        print(f"\nPrecision where {JAPANESE_SHARE:.1%} of pages are Japanese: {precision:.4f} ({name}).")
    print("\n| pages of | with text | pass the prefilter | are taken |\n|---|---:|---:|---:|")
    for lang, members in sorted(by_lang.items()):
        passed, taken = sum(case.prefilter for case in members), sum(case.decision for case in members)
        print(f"| {lang} | {len(members)} | {passed} | {taken} |")
    wrongly = [case for case in others if case.decision]
    print("\n| taken, though of | page | Japanese letters that it shows | share of kana in its main text |")
    print("|---|---|---:|---:|")
    for case in sorted(wrongly):
        print(f"| {case.lang} | {case.url} | {case.japanese_letters} | {case.score:.3f} |")
    for case in ja:
        if not case.decision:
            print(f"\nNot taken: {case.url} ({case.japanese_letters} Japanese letters)")


if __name__ == "__main__":
    main()
