"""`build` and the commands for single stages, against what is known about the demo's pages."""

import csv
import json
import re
from collections import Counter, defaultdict
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from commands import Ran, call
from corpora import ids, members, rows, snapshot, tables
from places import DEMO_PAGES, DEMO_WARCS
from pyspark.sql import SparkSession
from warcio.archiveiterator import ArchiveIterator

from swallow_spark.tables import pack_doc_id, unpack_doc_id

SUMMARY_KEYS = {
    *("records", "pages", "passed_over", "failures", "file_failures", "duplicates", "survivors", "accepted"),
    *("rejected", "thresholds", "subsets"),
}
EARLY, LATE = ("ingest", "sketch", "measure", "deduplicate"), ("decide", "score", "select")
Demo = tuple[Path, Ran]


# ---- the summary


def test_the_summary_has_all_keys_and_its_sums_hold(demo: Demo) -> None:
    corpus, ran = demo
    summary = ran.json
    assert summary.keys() >= SUMMARY_KEYS
    passed_over, failures = sum(summary["passed_over"].values()), sum(summary["failures"].values())
    assert summary["records"] == summary["pages"] + passed_over + failures
    assert summary["records"] == sum(1 for warc in DEMO_WARCS[:2] for _ in members(warc))
    assert summary["survivors"] + summary["duplicates"] == summary["pages"]
    counted = {table: len(found) for table, found in tables(corpus).items()}
    assert counted["pages"] == counted["sketches"] == counted["features"] == summary["pages"]
    assert counted["duplicates"] == summary["duplicates"]
    assert counted["groups"] == counted["verdicts/preset=swallow-v2"] == summary["survivors"]
    assert counted["scores/classifier=wiki"] == counted["scores/classifier=edu"] == summary["accepted"]


def test_the_ledger_accounts_for_each_record_of_each_file(demo: Demo) -> None:
    corpus, ran = demo
    of_file: Counter[int] = Counter()
    outcomes: Counter[str] = Counter()
    for row in rows(corpus, "ledger"):
        of_file[row["file_no"]] += row["num_records"]
        outcomes[row["outcome"]] += row["num_records"]
    assert dict(of_file) == {number: sum(1 for _ in members(warc)) for number, warc in enumerate(DEMO_WARCS[:2])}
    passed_over = {f"passed_over:{reason}": number for reason, number in ran.json["passed_over"].items()}
    assert outcomes == {"page": ran.json["pages"], **passed_over}


def test_rejections_are_counted_under_each_of_their_reasons(demo: Demo) -> None:
    corpus, ran = demo
    verdicts = rows(corpus, "verdicts/preset=swallow-v2")
    assert Counter(reason for row in verdicts for reason in row["reasons"]) == ran.json["rejected"]
    assert all(row["accepted"] == (not row["reasons"]) for row in verdicts)
    assert sum(row["accepted"] for row in verdicts) == ran.json["accepted"]


@pytest.mark.parametrize("classifier", ["wiki", "edu"])
def test_subsets_are_the_best_documents_exactly(demo: Demo, classifier: str) -> None:
    corpus, ran = demo
    accepted = ran.json["accepted"]
    best = sorted(rows(corpus, f"scores/classifier={classifier}"), key=lambda row: (-row["score"], row["doc_id"]))
    tenth, third = ceil(Fraction(10, 100) * accepted), ceil(Fraction(30, 100) * accepted)
    written = json.loads((corpus / "subsets" / "thresholds.json").read_text())[classifier]
    pages = {row["doc_id"]: row for row in rows(corpus, "pages")}
    for band, start, end in (("top10", 0, tenth), ("top10-30", tenth, third)):
        subset = rows(corpus, f"subsets/{classifier}-{band}")
        counted = ran.json["subsets"][f"{classifier}-{band}"]
        assert {row["doc_id"] for row in subset} <= {row["doc_id"] for row in best[start:end]}
        assert counted["documents"] == len(subset) == end - start - counted["emptied"]
        assert counted["characters"] == sum(row["num_chars"] for row in subset)
        last = best[end - 1]
        assert ran.json["thresholds"][classifier][band] == written[band]["score"] == last["score"]
        assert written[band] == {"documents": end, "score": last["score"], "doc_id": last["doc_id"]}
        for row in subset:
            assert row["num_chars"] == len(row["text"])
            assert (row["url"], row["date"]) == (pages[row["doc_id"]]["url"], pages[row["doc_id"]]["date"])


def test_standard_error_holds_the_program_s_own_lines_only(demo: Demo) -> None:
    _, ran = demo
    assert "From records to subsets" in ran.err
    assert not re.search(r"WARN|ERROR|Exception|log4j|native-hadoop|loopback|Traceback|spark\.apache", ran.err), ran.err
    first = ran.err.splitlines()[0]
    assert re.match(r"From records to subsets|Starting Spark|\w+: ", first), first


def test_the_report_needs_nothing_else(demo: Demo) -> None:
    html = (demo[0] / "report" / "index.html").read_text(encoding="utf-8")
    assert html.lstrip().lower().startswith("<!doctype html>")
    assert "<script" not in html.lower()
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", html.split("<body")[0])


# ---- the truth about the demo's pages


def truth() -> list[dict[str, Any]]:
    """The manifest's rows on the files that were built, with the page's doc_id."""
    ids_of = {}
    for number, warc in enumerate(DEMO_WARCS[:2]):
        offset = 0
        for _, _, content in members(warc):
            ids_of[warc.name, offset] = pack_doc_id(1, number, offset)
            offset += len(content)
    found = []
    with (DEMO_PAGES / "manifest.tsv").open(encoding="utf-8", newline="") as stream:
        of_file: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            of_file[row["file"]].append(row)
    for warc in DEMO_WARCS[:2]:
        doc_ids = [doc_id for (name, _), doc_id in ids_of.items() if name == warc.name]
        kept = [d for d, (kind, _, _) in zip(doc_ids, members(warc), strict=True) if kind != "warcinfo"]
        for row, doc_id in zip(of_file[warc.name], kept, strict=True):
            found.append({**row, "doc_id": doc_id})
    return found


def test_japanese_pages_are_found_and_no_others(demo: Demo) -> None:
    found = {row["doc_id"]: row["url"] for row in rows(demo[0], "pages")}
    plain = [row for row in truth() if row["warc_type"] == "response" and not row["oddity"]]
    assert all(found.get(row["doc_id"], row["url"]) == row["url"] for row in plain)
    japanese = [row["doc_id"] in found for row in plain if row["lang"] == "ja"]
    others = [row["doc_id"] in found for row in plain if row["lang"] not in ("ja", "ja+en")]
    assert len(japanese) > 200
    assert len(others) > 80
    assert sum(japanese) / len(japanese) >= 0.98
    assert sum(others) == 0


def test_pages_of_every_encoding_are_read(demo: Demo) -> None:
    charsets = {row["doc_id"]: row["charset"] for row in rows(demo[0], "pages")}
    read: Counter[str] = Counter()
    for row in truth():
        if row["doc_id"] in charsets and row["encoding"] in ("utf-8", "shift_jis", "euc-jp", "iso-2022-jp"):
            expected = {"shift_jis": {"shift_jis", "cp932", "windows-31j"}}.get(row["encoding"], {row["encoding"]})
            assert charsets[row["doc_id"]].lower() in expected, row
            read[row["encoding"]] += 1
    assert len(read) == 4, read


def test_of_equal_texts_the_oldest_is_kept(demo: Demo) -> None:
    corpus, _ = demo
    same: dict[str, list[int]] = defaultdict(list)
    for row in rows(corpus, "pages"):
        same[row["text"]].append(row["doc_id"])
    copies = [sorted(doc_ids) for doc_ids in same.values() if len(doc_ids) > 1]
    assert copies, "the demo holds pages with the same text"
    duplicates = {row["doc_id"]: row for row in rows(corpus, "duplicates")}
    kept = {row["doc_id"]: row["num_duplicates"] for row in rows(corpus, "groups")}
    for oldest, *others in copies:
        for doc_id in others:
            assert duplicates[doc_id]["similarity"] == 1 or duplicates[doc_id]["witness"] != oldest
            assert duplicates[doc_id]["witness"] < doc_id
        assert oldest in kept or duplicates[oldest]["witness"] < oldest
    for row in duplicates.values():
        assert row["representative"] in kept
        assert row["witness"] not in duplicates or row["witness"] < row["doc_id"]
    assert sum(kept.values()) == len(duplicates)


def test_dropped_pages_are_near_duplicates_by_the_manifest(demo: Demo) -> None:
    of_group = {row["doc_id"]: row["near_dup_group"] for row in truth()}
    found = rows(demo[0], "duplicates")
    assert found
    right = [of_group[row["doc_id"]] and of_group[row["doc_id"]] == of_group[row["witness"]] for row in found]
    # Groups are known by file names and bytes; a few pages are alike without being listed as such.
    assert sum(map(bool, right)) / len(right) >= 0.8


def test_a_doc_id_finds_its_record(demo: Demo) -> None:
    for row in rows(demo[0], "pages")[::10]:
        where = unpack_doc_id(row["doc_id"])
        assert where.crawl_no == 1
        with DEMO_WARCS[where.file_no].open("rb") as stream:
            stream.seek(where.offset)
            record = next(iter(ArchiveIterator(stream)))
            assert record.rec_headers.get_header("WARC-Target-URI") == row["url"]


# ---- again, and with changes


def test_the_same_command_again_does_nothing(spark: SparkSession, demo: Demo) -> None:
    corpus, ran = demo
    before = snapshot(corpus, "runs/", "report/")
    again = call("build", "--corpus", corpus, "--config", "demo", "--crawl", "demo", "--json", *DEMO_WARCS[:2])
    assert again.json == ran.json
    assert snapshot(corpus, "runs/", "report/") == before
    assert len(list((corpus / "runs").glob("*.json"))) == 2


def test_other_rules_need_the_late_stages_only(copy: Path) -> None:
    early = ids(copy, *EARLY)
    summary = call("decide", "--corpus", copy, "--config", "swallow-v1", "--json").json
    assert summary["preset"] == "swallow-v1"
    assert sum(summary["rejected"].values()) > 0
    assert ids(copy, *EARLY) == early
    found = tables(copy)
    v1, v2 = found["verdicts/preset=swallow-v1"], found["verdicts/preset=swallow-v2"]
    assert [row["doc_id"] for row in v1] == [row["doc_id"] for row in v2]
    assert v1 != v2


def test_another_classifier_is_scored_and_the_others_stay(copy: Path, warcs: list[Path]) -> None:
    before = ids(copy, *EARLY, *LATE)
    weight = "classifiers.edu.weights.__label__3=4"
    command = ("build", "--corpus", copy, "--config", "demo", "--crawl", "c", "--set", weight, "--json", *warcs)
    refused = call(*command).complaint
    assert all(name in refused for name in ("replace edu-top10 (", "wiki-top10-30 (", "[classifiers]", "--replace"))
    assert ids(copy, *EARLY, *LATE) == before
    ran = call(*command, "--replace")
    changed = ran.json
    assert "score: made with other settings or by another release, made again: scores/classifier=edu" in ran.err
    after = ids(copy, *EARLY, *LATE)
    redone = {name for name in before if after[name] != before[name]}
    assert {name.split("/")[0] for name in redone} == {"score", "select"}
    assert not any("classifier=wiki" in name for name in redone)
    assert call(*command).json == changed, "and finished, it is not done again"
    assert ids(copy, *LATE) == {name: after[name] for name in ids(copy, *LATE)}


def test_other_bands_are_selected_from_the_same_scores(copy: Path) -> None:
    before = ids(copy, *EARLY, "decide", "score")
    bands = "subsets=[{classifier='wiki',bands=['top5','top50']}]"
    (copy / "subsets" / "mine").mkdir()
    (copy / "subsets" / "mine" / "of-a-user.parquet").write_bytes(b"")
    assert "delete edu-top10 (" in call("select", "--corpus", copy, "--set", bands).complaint
    assert ids(copy, *EARLY, *LATE).keys() >= {"select/cuts"}
    summary = call("select", "--corpus", copy, "--set", bands, "--replace", "--json").json
    accepted = sum(row["accepted"] for row in rows(copy, "verdicts/preset=swallow-v2"))
    documents = {name: subset["documents"] for name, subset in summary["subsets"].items()}
    assert documents == {"wiki-top5": ceil(accepted / 20), "wiki-top50": ceil(accepted / 2)}
    names = {path.name for path in (copy / "subsets").iterdir()}
    assert names == {"wiki-top5", "wiki-top50", "thresholds.json", "mine"}
    assert ids(copy, *EARLY, "decide", "score") == before


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("ingest.max_html_bytes=1000000", "ingest.max_html_bytes: 16777216 -> 1000000"),
        ("sketch.bands=20", "sketch.bands: 40 -> 20"),
    ],
)
def test_a_changed_start_is_refused(copy: Path, warcs: list[Path], change: str, difference: str) -> None:
    before = snapshot(copy)
    said = call("build", "--corpus", copy, "--config", "demo", "--crawl", "c", "--set", change, *warcs).complaint
    assert difference in said
    stage = change.partition(".")[0]
    for way_out in ("--set", "another --corpus", f"swallow-spark discard --corpus DIR --stage {stage}"):
        assert way_out in said
    assert snapshot(copy) == before


def test_discarded_stages_are_done_again_with_all_that_follows(copy: Path, warcs: list[Path]) -> None:
    early, numbers = ids(copy, *EARLY), snapshot(copy / "inputs")
    assert call("discard", "--corpus", copy, "--stage", "sketch").status == 0
    assert set(ids(copy, *EARLY, *LATE)) == {name for name in early if name.startswith(("ingest", "measure"))}
    assert not list(copy.glob("sketches/**/*.parquet"))
    build = ("build", "--corpus", copy, "--config", "demo", "--crawl", "c", "--until", "select")
    assert call(*build, "--set", "sketch.bands=20", *warcs).status == 0
    assert len(rows(copy, "sketches")[0]["bands"]) == 20
    assert ids(copy, "ingest", "measure").items() <= early.items()
    # A way out of a changed ingest too, here cut up otherwise than before.
    assert call("discard", "--corpus", copy, "--stage", "ingest").status == 0
    assert ids(copy, *EARLY, *LATE) == {}
    changes = ("--set", "ingest.max_html_bytes=20000", "--set", "execution.files_per_batch=3")
    summary = call(*build, *changes, "--json", *warcs).json
    assert summary["failures"], "pages of more than 20,000 bytes"
    assert summary["survivors"] + summary["duplicates"] == summary["pages"] == len(rows(copy, "sketches"))
    assert snapshot(copy / "inputs") == numbers


def test_crawls_named_like_a_unit_s_directory_are_not_swept(
    spark: SparkSession, tmp_path: Path, warcs: list[Path]
) -> None:
    corpus, name = tmp_path / "corpus", "daily-202511220000"
    assert call("ingest", "--corpus", corpus, "--crawl", name, warcs[0]).status == 0
    before = rows(corpus, "pages")
    assert before
    assert call("ingest", "--corpus", corpus, "--crawl", name, warcs[0]).status == 0
    assert rows(corpus, "pages") == before
