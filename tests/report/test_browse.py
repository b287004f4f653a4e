"""`browse`: what it shows of a corpus, whom it answers, and what it makes of hostile pages. Needs no Spark."""

import io
import json
import random
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from time import monotonic
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uvicorn
from commands import call
from starlette.testclient import TestClient
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from swallow_spark.errors import CorpusError, UsageError
from swallow_spark.kernels import html
from swallow_spark.kernels.features import SCHEMA as FEATURES
from swallow_spark.report.browse import page, query, raw
from swallow_spark.report.browse.app import make_app
from swallow_spark.report.browse.marks import Marks
from swallow_spark.report.browse.source import ChangedCorpusError, Source, TooSlowError
from swallow_spark.stages.remove.lists import parse
from swallow_spark.tables import DUPLICATES, GROUPS, INPUTS, PAGES, SCORES, VERDICTS, pack_doc_id
from swallow_spark.training.examples import WIKI, read_examples

TOKEN = "secret"
HOST = "http://127.0.0.1:4000"
NUM_PAGES = 120
SCRIPT = "<script>document.title='owned'</script>"
HOSTILE_HTML = f"""<html><head><title>x{SCRIPT}</title><meta http-equiv=refresh content="0;url=http://evil.example/">
<base href=http://evil.example/><link rel=stylesheet href=http://evil.example/a.css>
<link rel=dns-prefetch href=//evil.example><style>@import url(http://evil.example/b.css); p{{color:red}}</style></head>
<body onload="alert(1)" background=http://evil.example/c.png><nav><a href=/>Home</a> <a href=/b>Other</a></nav>
{SCRIPT}<img src=http://evil.example/d.png onerror=alert(1) alt="絵"><iframe src=http://evil.example/></iframe>
<svg onload=alert(1)><script>alert(1)</script></svg><form action=http://evil.example/><button>送信</button></form>
<main><h1>見出しです</h1><p onclick=alert(1)>これは本文の段落です。抽出されるはずの文章が、ここに続いています。</p>
<p>二つ目の段落も本文です。&lt;script&gt;も文字として残ります。これも抽出される文章です。</p>
<a href="javascript:alert(1)">押すな</a></main><footer>Copyright 2025</footer></body></html>"""


def doc_id(number: int) -> int:
    return pack_doc_id(1 + number // 60, 0, offsets[number % 60])


offsets = [number * 1000 for number in range(60)]


def _pages() -> list[dict[str, Any]]:
    rows = [
        {
            "doc_id": doc_id(number),
            "url": f"https://h{number % 3}.example.jp/{number}",
            "host": f"h{number % 3}.example.jp",
            "date": None,
            "title": f"題名 {number}",
            "text": f"これは {number} 番の本文です。\n同じ行です。\n最後の行です。",
            "charset": "utf-8",
            "language_score": 0.5,
            "num_chars": 1000 - number,
            "record_length": 100,
            "payload_sha1": "sha1:A",
            "robots": None,
            "truncated": None,
        }
        for number in range(NUM_PAGES)
    ]
    rows[0] |= {"title": f"{SCRIPT}\u202e", "url": 'javascript:alert("1")', "text": f"{SCRIPT}<b>太字</b>\u202e"}
    rows[1] |= {"title": "長" * 100_000, "text": "あ" * 10_000_000, "url": None, "host": None}
    rows[2] |= {"text": "\n".join(f"行 {line}" for line in range(30_000))}
    return rows


def _warc(path: Path) -> list[int]:
    """A WARC of two records: another page, and the hostile one, behind 2,500 bytes that don't pack; the offsets."""
    found = []
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        other = random.Random(1).randbytes(2500)
        for url, body in (("https://h1.example.jp/4", other), ("https://h0.example.jp/3", HOSTILE_HTML.encode())):
            found.append(file.tell())
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1")
            record = writer.create_warc_record(url, "response", payload=io.BytesIO(body), http_headers=headers)
            writer.write_record(record)
    return found


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 pages of two crawls, written by hand: 40 duplicates, 80 kept, of which 40 are accepted."""
    root = tmp_path_factory.mktemp("it's [a] *corpus?") / "corpus"
    warc = tmp_path_factory.mktemp("warcs") / "a.warc.gz"
    at = _warc(warc)
    offsets[3] = at[1]
    assert offsets == sorted(offsets)
    pages = _pages()
    ids = [row["doc_id"] for row in pages]
    kept = [ids[number] for number in range(NUM_PAGES) if number % 3 != 2]
    dropped = [ids[number] for number in range(NUM_PAGES) if number % 3 == 2]
    manifests: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def write(stage: str, unit: str, table: str, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
        for part, some in enumerate((rows[::2], rows[1::2])):
            name = f"{table}/crawl=a/{part}-{stage}.parquet"
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(some, schema), path, compression="zstd", row_group_size=16)
            file = {"table": table, "path": name, "rows": len(some), "bytes": path.stat().st_size}
            manifests.setdefault((stage, unit), []).append(file)

    write("ingest", "crawl=a/0", "pages", PAGES, pages)
    duplicate = {"band": 0, "similarity": 0.9, "policy": "bucket", "witness": ids[0], "representative": ids[0]}
    write("deduplicate", "corpus", "duplicates", DUPLICATES, [{**duplicate, "doc_id": each} for each in dropped])
    write("deduplicate", "corpus", "groups", GROUPS, [{"doc_id": n, "num_duplicates": int(n == ids[0])} for n in kept])
    measured = [{"num_japanese_letters": 300 + n, "hiragana_fraction": 0.5, "doc_id": ids[n]} for n in range(NUM_PAGES)]
    schema = pa.schema(
        [("doc_id", pa.int64()), ("num_japanese_letters", pa.int64()), ("hiragana_fraction", pa.float64())]
    )
    assert set(schema.names[1:]) <= set(FEATURES.names)
    write("measure", "crawl=a/0", "features", schema, measured)
    verdicts = [
        {"doc_id": each, "accepted": at % 2 == 0, "reasons": [] if at % 2 == 0 else ["num_japanese_letters:low"]}
        for at, each in enumerate(kept)
    ]
    write("decide", "preset=p/crawl=a", "verdicts/preset=p", VERDICTS, verdicts)
    accepted = [row["doc_id"] for row in verdicts if row["accepted"]]
    scores = [{"doc_id": each, "score": (at * 7 % 40) / 40} for at, each in enumerate(accepted)]
    write("score", "classifier=c/crawl=a/0", "scores/classifier=c", SCORES, scores)
    subset = pa.schema([PAGES.field("doc_id")])
    write("select", "crawl=a/0", "subsets/c-top10", subset, [{"doc_id": each} for each in accepted[:4]])
    # A file that no manifest lists, as a killed run leaves it.
    pq.write_table(pa.Table.from_pylist([{**pages[0], "doc_id": 5}], PAGES), root / "pages/crawl=a/9-left.parquet")
    bounds = [["num_japanese_letters", {"min": 400.0, "max": None, "below": None}]]
    for (stage, unit), files in manifests.items():
        path = root / f"manifests/{stage}/{unit}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        told = {"stage": stage, "unit": unit, "id": unit, "fingerprint": "f", "upstream": "u", "files": files}
        told |= {"meaning": {"bounds": bounds} if stage == "decide" else {}, "version": "0"}
        told |= {"counts": {"rejected:num_japanese_letters:low": 40} if stage == "decide" else {}}
        path.write_text(json.dumps({**told, "finished": "2026-01-01T00:00:00Z"}))
    (root / "inputs").mkdir()
    for number, crawl in ((1, "a"), (2, "b")):
        row = {
            "crawl": crawl,
            "crawl_no": number,
            "file_no": 0,
            "key": "k",
            "path": str(warc),
            "bytes": 9,
            "etag": None,
        }
        row |= {"base_offset": 0, "format": "warc"}
        pq.write_table(pa.Table.from_pylist([row], INPUTS), root / f"inputs/{number:04}-{crawl}-000000.parquet")
    (root / "corpus.json").write_text('{"format": 1}')
    return root


@pytest.fixture(scope="module")
def source(corpus: Path) -> Source:
    return Source(str(corpus))


@pytest.fixture
def marks(corpus: Path, tmp_path: Path) -> Marks:
    return Marks(tmp_path / "marks.jsonl", corpus)


@pytest.fixture
def client(source: Source, marks: Marks) -> TestClient:
    return TestClient(make_app(source, marks, TOKEN), base_url=HOST, follow_redirects=False)


def walked(source: Source, wanted: query.Filter, limit: int = 7) -> list[int]:
    """The doc_ids of a list, screen by screen; and back again, which must be the same."""
    there: list[int] = []
    cursor = None
    while True:
        listed = query.page_of(source, wanted, cursor, limit=limit)
        there += listed.doc_ids
        if not listed.has_more:
            break
        cursor = listed.doc_ids[-1]
    if there:
        back: list[int] = []
        cursor = there[-1]
        while True:
            listed = query.page_of(source, wanted, cursor, backward=True, limit=limit)
            back = listed.doc_ids + back
            if not listed.has_more:
                break
            cursor = listed.doc_ids[0]
        assert [*back, there[-1]] == there
    assert query.count(source, wanted) == len(there)
    return there


def all_ids() -> list[int]:
    return [doc_id(number) for number in range(NUM_PAGES)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, lambda n: True),
        ({"crawl": "b"}, lambda n: n >= 60),
        ({"stage": "duplicate"}, lambda n: n % 3 == 2),
        ({"stage": "survivor"}, lambda n: n % 3 != 2),
        ({"stage": "accepted"}, lambda n: n % 3 == 0),
        ({"stage": "rejected", "reason": "num_japanese_letters:low"}, lambda n: n % 3 == 1),
        ({"stage": "rejected", "reason": "num_japanese_letters:low", "crawl": "a"}, lambda n: n % 3 == 1 and n < 60),
        ({"stage": "subset"}, lambda n: n in (0, 3, 6, 9)),
        ({"find": "h2.example.jp", "within": "host"}, lambda n: n % 3 == 2),
        ({"find": "example.jp", "within": "host"}, lambda n: n not in (0, 1) or n == 0),
        ({"find": "jp/11"}, lambda n: n in (11, *range(110, 120))),
        ({"find": "題名 7", "within": "title"}, lambda n: n == 7 or 70 <= n < 80),
        ({"find": " 77 番の本文", "within": "text"}, lambda n: n == 77),
        ({"find": "' OR 1=1 --"}, lambda n: False),
        ({"find": "番", "within": "text", "stage": "duplicate"}, lambda n: n % 3 == 2 and n > 2),
    ],
)
def test_filters_and_keyset_paging(source: Source, asked: dict[str, str], expected: Callable[[int], bool]) -> None:
    wanted = query.Filter.read(asked, source)
    ids = all_ids()
    assert walked(source, wanted) == [ids[n] for n in range(NUM_PAGES) if expected(n)]
    down = query.Filter.read({**asked, "order": "down"}, source)
    assert walked(source, down) == [ids[n] for n in reversed(range(NUM_PAGES)) if expected(n)]


def test_a_trial_of_other_rules_is_not_what_is_shown_first(corpus: Path, tmp_path: Path) -> None:
    copy = tmp_path / "corpus"
    shutil.copytree(corpus, copy)
    made = (copy / "manifests/decide/preset=p/crawl=a.json").read_text()
    trial = copy / "manifests/decide/preset=trial/crawl=a.json"
    trial.parent.mkdir()
    trial.write_text(made.replace("preset=p", "preset=trial").replace("2026-01-01", "2026-01-02"))
    shutil.copytree(copy / "verdicts/preset=p", copy / "verdicts/preset=trial")
    assert Source(str(copy)).presets == ["trial", "p"]
    (copy / "runs").mkdir()
    (copy / "runs/00000001-x.json").write_text('{"config": {"rules": {"preset": "p"}}}')
    assert Source(str(copy)).presets == ["p", "trial"]


def test_orders_and_ranges_of_scores(source: Source) -> None:
    ids = all_ids()
    by_length = walked(source, query.Filter.read({"sort": "num_chars", "order": "up"}, source))
    assert by_length == ids[::-1]
    scores = dict(source.query('SELECT doc_id, score FROM "scores/classifier=c"'))
    best = walked(source, query.Filter.read({"sort": "score"}, source))  # the highest come first
    assert [scores[each] for each in best] == sorted(scores.values(), reverse=True)
    some = walked(source, query.Filter.read({"low": "0.25", "high": "0.5"}, source))
    assert set(some) == {each for each, score in scores.items() if 0.25 <= score <= 0.5}
    # Equal keys: the order goes on by doc_id.
    assert walked(source, query.Filter.read({"sort": "similarity", "order": "up"}, source)) == ids[2::3]
    assert len(walked(source, query.Filter.read({"sort": "date"}, source))) == NUM_PAGES
    assert len(source.windows) == 1


def test_windows_change_nothing(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = Source(source.location)
    monkeypatch.setattr("swallow_spark.report.browse.source._ROWS_PER_WINDOW", 10)
    assert len(cut.windows) > 4
    for asked in ({}, {"stage": "rejected"}, {"find": "番", "within": "text"}, {"order": "down"}):
        wanted = query.Filter.read(asked, source)
        assert walked(cut, wanted, 30) == walked(source, wanted, 30)


def test_a_search_that_takes_long_says_how_far_it_came(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = Source(source.location)
    monkeypatch.setattr("swallow_spark.report.browse.source._ROWS_PER_WINDOW", 10)
    monkeypatch.setattr(query, "_SECONDS_OF_A_SEARCH", -1.0)  # one window each time
    wanted = query.Filter.read({"find": " 77 番の本文", "within": "text"}, source)
    shares, found, cursor = [], [], None
    for _ in range(100):
        listed = query.page_of(cut, wanted, cursor)
        found += listed.doc_ids
        shares.append(listed.share)
        if listed.searched_to is None:
            break
        cursor = listed.searched_to
    assert found == [doc_id(77)]
    assert len(shares) > 4
    assert shares == sorted(shares)


def test_queries_are_interrupted(source: Source) -> None:
    begun = monotonic()
    with pytest.raises(TooSlowError):
        source.query("SELECT sum(hash(a.range + b.range)) FROM range(100000000) a, range(100000) b", seconds=0.3)
    assert monotonic() - begun < 10
    assert source.query("SELECT 1") == [(1,)]


def test_duckdb_reads_the_corpus_alone(source: Source, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    import duckdb

    for sql in (f"SELECT * FROM read_csv('{tmp_path}/secret.csv')", "SET enable_external_access = true"):
        with pytest.raises((duckdb.PermissionException, ChangedCorpusError), match=r"disabled by conf|has been locked"):
            source.query(sql)


def test_only_this_machine_with_the_token_is_answered(client: TestClient) -> None:
    assert client.get(f"/{TOKEN}/en/").status_code == 200
    for path in ("/", "/en/", "/wrong/en/", f"/{TOKEN}x/en/", "/secre/en/"):
        assert client.get(path).status_code == 403, path
    for host in (
        "evil.example",
        "127.0.0.1.evil.example",
        "evil.example:4000",
        "",
        "[::1].evil.example",
        "127.0.0.1:x",
    ):
        assert client.get(f"/{TOKEN}/en/", headers={"host": host}).status_code == 403, host
    for host in ("localhost", "127.0.0.1:9999", "[::1]:4000", "LOCALHOST:1"):
        assert client.get(f"/{TOKEN}/en/", headers={"host": host}).status_code == 200, host
    assert client.get(f"/{TOKEN}/", headers={"accept-language": "ja,en;q=0.5"}).headers["location"] == f"/{TOKEN}/ja/"
    assert client.get(f"/{TOKEN}/", headers={"accept-language": "fr"}).headers["location"] == f"/{TOKEN}/en/"
    assert client.get(f"/{TOKEN}/xx/").status_code == 404
    assert client.get(f"/{TOKEN}/../../etc/passwd").status_code in (403, 404)
    long = "9" * 5000
    for path in (f"page/{long}", f"raw/{long}/page", f"compare/1/{long}"):
        assert client.get(f"/{TOKEN}/en/{path}").status_code == 404
    for path in ("?find=²", "count?find=²", "?find=١٢", f"?after={long}", f"?before={long}", f"excerpts?ids={long},²"):
        assert client.get(f"/{TOKEN}/en/{path}").status_code == 200, path
    answer = client.get(f"/{TOKEN}/en/", headers={"origin": "http://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "same-origin"


def test_marks_come_only_from_our_own_page(client: TestClient, marks: Marks, corpus: Path) -> None:
    address = f"/{TOKEN}/en/mark/{doc_id(4)}"
    before = sorted((path, path.stat().st_mtime_ns) for path in corpus.rglob("*"))
    for headers in ({}, {"origin": "http://evil.example"}, {"origin": "null"}):
        assert client.post(address, data={"mark": "wrongly_kept"}, headers=headers).status_code == 403
    assert not marks.path.exists()
    here = {"origin": HOST}
    assert client.post(address, data={"mark": "nonsense"}, headers=here).status_code == 404
    assert client.post(address, data={"reason": "x" * 70_000}, headers=here).status_code == 413
    assert client.post(f"/{TOKEN}/en/mark/5", data={"mark": "wrongly_kept"}, headers=here).status_code == 404
    went = client.post(f"{address}?stage=rejected", data={"mark": "wrongly_kept", "reason": "広告\nだけ"}, headers=here)
    assert went.status_code == 303
    assert went.headers["location"] == f"/{TOKEN}/en/page/{doc_id(4)}?stage=rejected"
    for number, kind in ((7, "wrongly_dropped"), (10, "wrongly_kept"), (10, "none")):
        client.post(f"/{TOKEN}/ja/mark/{doc_id(number)}", data={"mark": kind}, headers=here)
    assert "Marks (2)" in client.get(f"/{TOKEN}/en/marks").text
    again = Marks(marks.path, corpus)
    assert [(mark.doc_id, mark.mark) for mark in again.all()] == [
        (doc_id(7), "wrongly_dropped"),
        (doc_id(4), "wrongly_kept"),
    ]
    assert sorted((path, path.stat().st_mtime_ns) for path in corpus.rglob("*")) == before


def test_marks_become_labels_and_a_list_to_remove(client: TestClient, marks: Marks, tmp_path: Path) -> None:
    marks.add(doc_id(4), "https://h1.example.jp/4", "wrongly_kept", "広告\nhttps://other.example/")
    marks.add(doc_id(7), "https://h1.example.jp/7", "wrongly_dropped", "")
    marks.add(5, "https://gone.example/", "wrongly_dropped", "")  # no page of this corpus any more
    answer = client.get(f"/{TOKEN}/en/marks/labels.jsonl")
    assert answer.headers["content-disposition"].startswith("attachment")
    file = tmp_path / "labels.jsonl"
    file.write_bytes(answer.content)
    examples = read_examples(WIKI, [file])
    assert examples.classes.tolist() == [0, 1]
    assert examples.texts.to_pylist() == [f"これは {n} 番の本文です。\n同じ行です。\n最後の行です。" for n in (4, 7)]
    listed = client.get(f"/{TOKEN}/en/marks/remove.txt").content
    assert parse("url", listed) == parse("url", b"https://h1.example.jp/4")


@pytest.mark.parametrize("format", ["jsonl", "csv:content"])
def test_imported_text_has_no_raw_page(
    client: TestClient, source: Source, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    place = source.place(doc_id(4))
    assert place
    crawl, file, offset = place
    monkeypatch.setattr(source, "place", lambda _: (crawl, file._replace(format=format), offset))
    answer = client.get(f"/{TOKEN}/en/raw/{doc_id(4)}/page")
    assert answer.status_code == 404
    assert f"imported text ({format}) has no raw page" in answer.text
    assert "<iframe" not in client.get(f"/{TOKEN}/en/page/{doc_id(4)}").text


def test_marks_with_characters_that_end_lines_elsewhere(corpus: Path, tmp_path: Path) -> None:
    reason = "一\u2028二\x85三\x0b四"
    Marks(tmp_path / "marks", corpus).add(1, "https://h1.example.jp/\u2029", "wrongly_kept", reason)
    mark = Marks(tmp_path / "marks", corpus).of(1)
    assert mark
    assert mark.reason == reason


def test_marks_that_cannot_be_kept(corpus: Path, tmp_path: Path) -> None:
    for path, said in ((corpus / "marks", "inside the corpus"), (tmp_path / "no/marks", "there is no directory")):
        with pytest.raises(UsageError, match=said):
            Marks(path, corpus)
    wrong = '{"doc_id": %s, "url": "", "mark": "%s", "reason": %s, "time": ""}'
    values = (1, "x", '""'), (1, "wrongly_kept", 5), ("true", "wrongly_kept", '""'), (1 << 63, "wrongly_kept", '""')
    for line in ("not json", '{"doc_id": 1}', "[]", "[" * 100_000, *(wrong % each for each in values)):
        (tmp_path / "marks").write_text(line + "\n")
        with pytest.raises(UsageError, match="line 1 is no mark"):
            Marks(tmp_path / "marks", corpus)


def test_marks_are_read_as_they_were_written(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "marks"
    Marks(path, corpus).add(doc_id(4), None, "wrongly_kept", "a\u2028b\x85c\nd")
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))  # as some editors do
    Marks(path, corpus).add(doc_id(7), None, "wrongly_dropped", "")
    assert [mark.reason for mark in Marks(path, corpus).all()] == ["", "a\u2028b\x85c\nd"]


class _Seen(HTMLParser):
    """The tags and attributes of a page, as a browser finds them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def _is_harmless(text: str) -> None:
    for tag, attributes in _Seen(text).tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        if tag == "script":
            assert attributes == {"src": f"/{TOKEN}/browse.js", "defer": None}
        assert not str(attributes.get("href") or "").lower().startswith("javascript:")
    assert "\u202e" not in text


@pytest.mark.parametrize("language", ["en", "ja"])
def test_hostile_pages_do_no_harm(client: TestClient, language: str) -> None:
    base = f"/{TOKEN}/{language}"
    paths = [
        "",
        "?find=" + SCRIPT,
        "?stage=nonsense&sort=1;drop&low=nan&crawl=x&after=-1",
        f"compare/{doc_id(0)}/{doc_id(2)}",
    ]
    paths += [f"page/{doc_id(number)}" for number in (0, 1, 2)] + [f"page/{doc_id(0)}?end={SCRIPT}"]
    for path in paths:
        answer = client.get(f"{base}/{path}")
        assert answer.status_code == 200, path
        _is_harmless(answer.text)
    assert "&lt;script&gt;" in client.get(f"{base}/page/{doc_id(0)}").text
    long = client.get(f"{base}/page/{doc_id(1)}")
    assert len(long.content) < 4 * page.MAX_TEXT_CHARS
    assert "10,000,000" in long.text
    assert len(client.get(f"{base}/page/{doc_id(2)}").content) < 10 * page.MAX_TEXT_CHARS
    begun = monotonic()
    client.get(f"{base}/compare/{doc_id(1)}/{doc_id(2)}")
    assert monotonic() - begun < 20
    for path in ("page/5", "page/99999999999999999999", "page/x", "compare/5/6", f"page/{doc_id(0)}/sideways"):
        assert client.get(f"{base}/{path}").status_code == 404, path


def test_the_raw_page_is_harmless_and_marked(client: TestClient) -> None:
    answer = client.get(f"/{TOKEN}/en/raw/{doc_id(3)}/page")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy.split("; ")
    for tag, attributes in _Seen(answer.text).tags:
        assert tag not in ("script", "link", "base", "iframe", "img", "svg", "form", "a", "body")
        assert not {name for name in attributes if name.startswith("on")} | (
            {"href", "src", "background"} & {*attributes}
        )
        assert tag != "meta" or attributes == {"charset": "utf-8"}
    marked = re.findall(r"<span class=swallow-spark-taken>(.*?)</span>", answer.text, re.DOTALL)
    taken = html.extract(HOSTILE_HTML.encode()).text.split("\n")
    assert len(taken) >= 3
    assert [unescape(each) for each in marked] == taken
    assert "[image: 絵]" in answer.text
    assert HOSTILE_HTML.splitlines()[0] in client.get(f"/{TOKEN}/en/raw/{doc_id(3)}/source").text
    assert client.get(f"/{TOKEN}/en/raw/{doc_id(3)}/head").text.startswith("HTTP/1.1 200 OK")
    for view in ("page", "source", "head"):
        assert (
            client.get(f"/{TOKEN}/en/raw/{doc_id(3)}/{view}")
            .headers["content-type"]
            .startswith("text/html" if view == "page" else "text/plain")
        )
    # A page whose record isn't where it was.
    missing = client.get(f"/{TOKEN}/ja/raw/{doc_id(0)}/page")
    assert missing.status_code == 404
    assert missing.headers["content-type"].startswith("text/plain")


def test_a_raw_page_of_any_size_and_depth_is_shown() -> None:
    for body in (b"<div>" * 100_000, b"<p>" + b"a" * 10_000_000, b"<b " + b"x=1 " * 100_000 + b">", b"", b"\xff\xfe<"):
        begun = monotonic()
        made = raw.shown(raw.Raw("", body, "text/html", None), "only the beginning")
        assert len(made) < 12_000_000
        assert monotonic() - begun < 30


def test_a_page_shows_why(client: TestClient, source: Source) -> None:
    shown = client.get(f"/{TOKEN}/en/page/{doc_id(4)}").text
    assert "num_japanese_letters:low" in shown
    assert re.search(r'<tr class="broken"><td>num_japanese_letters .*?304</td><td class="n">≥ 400', shown, re.DOTALL)
    dropped = client.get(f"/{TOKEN}/en/page/{doc_id(5)}").text
    assert "dropped as a duplicate" in dropped
    assert f"compare/{doc_id(5)}/{doc_id(0)}" in dropped
    assert f"compare/{doc_id(0)}/{doc_id(5)}" in client.get(f"/{TOKEN}/en/page/{doc_id(0)}").text
    accepted = client.get(f"/{TOKEN}/ja/page/{doc_id(3)}").text
    assert "規則で採用" in accepted
    assert "c-top10" in accepted
    found = page.look_up(source, doc_id(3), "p")
    assert found
    assert f"{found['scores']['c']:.4f}" in accepted


def test_next_and_previous_follow_the_list(client: TestClient) -> None:
    at = f"/{TOKEN}/en/page/{doc_id(4)}"
    assert client.get(f"{at}/next?stage=rejected").headers["location"] == f"/{TOKEN}/en/page/{doc_id(7)}?stage=rejected"
    assert client.get(f"{at}/previous?sort=num_chars").headers["location"].startswith(f"/{TOKEN}/en/page/{doc_id(3)}?")
    first = client.get(f"/{TOKEN}/en/page/{doc_id(0)}/previous").headers["location"]
    assert "first page of the list" in client.get(first).text


def test_counts_and_excerpts(client: TestClient) -> None:
    assert client.get(f"/{TOKEN}/en/count").json() == NUM_PAGES
    assert client.get(f"/{TOKEN}/en/count?stage=rejected").json() == 40
    ids = ",".join(str(doc_id(number)) for number in (0, 1, 50))
    found = client.get(f"/{TOKEN}/en/excerpts?ids={ids},x,").json()
    assert found[str(doc_id(50))].startswith("これは 50 番")
    assert len(found[str(doc_id(1))]) < 300
    hit = client.get(f"/{TOKEN}/en/excerpts?ids={doc_id(2)}&within=text&find=行 29999").json()
    assert "行 29999" in hit[str(doc_id(2))]


def test_comparison_side_by_side() -> None:
    lines, is_whole = page.compare("一\n" + "同\n" * 20 + "古い行\n終", "一\n" + "同\n" * 20 + "新しい行\n終\n増")
    assert is_whole
    assert [line.kind for line in lines] == [*["equal"] * 3, "skip", *["equal"] * 3, "replace", "equal", "insert"]
    assert "".join(piece.text for piece in lines[7].left) == "古い行"
    assert [piece.text for piece in lines[7].right if piece.is_same] == ["い行"]
    assert page.compare("a\n" * 5000, "a")[1] is False


def test_a_corpus_that_changes(corpus: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(corpus, tmp_path / "copy"))
    source = Source(str(copy))
    client = TestClient(make_app(source, Marks(tmp_path / "marks", copy), TOKEN), base_url=HOST)
    shutil.rmtree(copy / "pages")
    with pytest.raises(ChangedCorpusError):
        source.query("SELECT text FROM pages")
    answer = client.get(f"/{TOKEN}/en/")
    assert answer.status_code == 503
    assert "start it again" in answer.text
    with pytest.raises(CorpusError, match="swallow-spark check"):
        Source(str(copy))


def test_damaged_files_are_named(corpus: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(corpus, tmp_path / "copy"))
    marks = Marks(tmp_path / "marks", copy)
    marks.add(doc_id(4), None, "wrongly_kept", "")
    client = TestClient(make_app(Source(str(copy)), marks, TOKEN), base_url=HOST)
    for file in (copy / "pages").rglob("*.parquet"):
        file.write_bytes(b"damaged")
    for path in ("", f"page/{doc_id(4)}", "?find=x", f"excerpts?ids={doc_id(4)}", "marks/labels.jsonl"):
        answer = client.get(f"/{TOKEN}/en/{path}")
        assert answer.status_code == 503
        assert ".parquet" in answer.text
        assert "swallow-spark check" in answer.text


def test_a_corpus_of_pages_alone_is_shown(corpus: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(corpus, tmp_path / "copy"))
    for stage in ("deduplicate", "measure", "decide", "score", "select"):
        shutil.rmtree(copy / "manifests" / stage)
    client = TestClient(make_app(Source(str(copy)), Marks(tmp_path / "marks", copy), TOKEN), base_url=HOST)
    for path in ("", "?stage=accepted", "?sort=score", f"page/{doc_id(4)}", "count"):
        assert client.get(f"/{TOKEN}/en/{path}").status_code == 200
    shutil.rmtree(copy / "manifests")
    assert (
        "No page matches"
        in TestClient(make_app(Source(str(copy)), Marks(tmp_path / "marks", copy), TOKEN), base_url=HOST)
        .get(f"/{TOKEN}/en/")
        .text
    )


def test_wrong_calls(corpus: Path, tmp_path: Path) -> None:
    assert "no corpus there" in call("browse", "--corpus", tmp_path).complaint
    assert "inside the corpus" in call("browse", "--corpus", corpus, "--marks", corpus / "m").complaint
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert "give another port" in call("browse", "--corpus", corpus, "--port", port).complaint
    with pytest.raises(CorpusError):
        Source(str(tmp_path))


def test_the_command_serves_until_it_is_stopped(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def run(self: uvicorn.Server, sockets: list[Any]) -> None:
        seen.append(sockets[0].getsockname())
        raise KeyboardInterrupt

    monkeypatch.setattr(uvicorn.Server, "run", run)
    ran = call("browse", "--corpus", corpus, "--marks", tmp_path / "marks")
    assert ran.status == 0
    assert ran.out == b""
    assert seen[0][0] == "127.0.0.1"
    assert re.search(rf"http://127\.0\.0\.1:{seen[0][1]}/[\w-]{{32}}/$", ran.err, re.MULTILINE)


@pytest.fixture
def served(source: Source, marks: Marks) -> Iterator[str]:
    """The address of a server in this process."""
    config = uvicorn.Config(make_app(source, marks, TOKEN), port=0, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/{TOKEN}"
    server.should_exit = True
    thread.join()


def _look_around(context: Any, served: str, base: str, width: int) -> None:
    tab = context.new_page()
    problems: list[str] = []
    tab.on("console", lambda message: problems.append(message.text))
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("dialog", lambda dialog: problems.append("dialog"))
    requests: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    paths = ["/", "/?stage=rejected&sort=num_chars", "/marks", f"/compare/{doc_id(2)}/{doc_id(0)}"]
    for path in [*paths, *(f"/page/{doc_id(number)}" for number in (1, 2, 0, 3))]:
        tab.goto(base + path)
        tab.wait_for_load_state("networkidle")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
        assert tab.title() != "owned"
    assert tab.frames[1].locator("text=これは本文の段落です").count() == 1
    assert tab.frames[1].evaluate("document.querySelectorAll('script').length") == 0
    # With the keys: the next page, a mark, and back to the list.
    tab.keyboard.press("n")
    tab.wait_for_url(f"**/page/{doc_id(4)}")
    tab.keyboard.press("1")
    tab.wait_for_selector("button.on")
    tab.keyboard.press("u")
    tab.wait_for_selector(f"li[data-id='{doc_id(4)}'] .marked")
    tab.locator("[data-count]", has_text=re.compile("^120$")).wait_for()
    tab.locator(".excerpt", has_text="これは 7 番").wait_for()
    tab.keyboard.press("j")
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**/page/{doc_id(0)}")
    assert [url for url in requests if not url.startswith((served, "data:"))] == []
    # Of all that is refused, only the style sheet that the raw page imports and the record that isn't there.
    assert [each for each in problems if "evil.example/b.css" not in each and "404" not in each] == []


def test_in_a_browser(served: str, marks: Marks) -> None:
    """Hostile pages run and load nothing, and nothing is wider than the window, in either scheme and language."""
    import shutil

    browser_path = shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser_path:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for width, scheme, language in ((390, "dark", "ja"), (1400, "light", "en")):
            context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            _look_around(context, served, f"{served}/{language}", width)
            context.close()
        browser.close()
    assert [mark.doc_id for mark in marks.all()] == [doc_id(4)]
