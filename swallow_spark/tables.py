"""The tables of a corpus: their Arrow schemas, the meaning of each column, and `doc_id`.

`docs/generate.py` writes `docs/reference/tables.md` from this module.
"""

from typing import Final, NamedTuple

import pyarrow as pa

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")


class Table(NamedTuple):
    """A table as it is documented."""

    rows: str
    schema: pa.Schema
    meanings: dict[str, str]  # column -> what it means


TABLES: Final[dict[str, Table]] = {}
"""Name -> table. The configuration gives the names in capitals."""


def _table(name: str, rows: str, *columns: tuple[pa.Field, str]) -> pa.Schema:
    """The schema of a table. Meanings are in TABLES and not in the schema, which is written into each file."""
    schema = pa.schema([field for field, _ in columns])
    TABLES[name] = Table(rows, schema, {field.name: meaning for field, meaning in columns})
    return schema


def _column(name: str, kind: pa.DataType, meaning: str, nullable: bool = False) -> tuple[pa.Field, str]:
    return pa.field(name, kind, nullable=nullable), meaning


def _nullable(name: str, kind: pa.DataType, meaning: str) -> tuple[pa.Field, str]:
    return _column(name, kind, meaning, nullable=True)


_DOC_ID: Final = _column("doc_id", pa.int64(), "The page.")

INPUTS: Final = _table(
    "inputs",
    "One row for each input file, or for each 4 GiB of a larger one.",
    _column("crawl", pa.string(), "Name of the crawl (`--crawl`)."),
    _column("crawl_no", pa.int32(), "Its number, from 1."),
    _column("file_no", pa.int32(), "Number of the file in the crawl, from 0."),
    _column(
        "key",
        pa.string(),
        "Names the file independently of mirror and scheme: the path from `crawl-data/` on; for other URLs host or "
        "bucket with path; for local files the absolute path.",
    ),
    _column("path", pa.string(), "Where it is read from; `***` replaces passwords, signatures and keys."),
    _column("bytes", pa.int64(), "Size; -1 if it isn't known."),
    _nullable("etag", pa.string(), "ETag from an HTTP server or object store."),
    _column("base_offset", pa.int64(), "Byte of the file at which this part begins."),
    _column(
        "format", pa.string(), "`warc`, or that of a text file: `jsonl`, `jsonl:COLUMN` if its text isn't in `text`."
    ),
)


class InputFile(NamedTuple):
    """An input that is not registered yet. Fields as in the table."""

    key: str
    path: str
    bytes: int
    etag: str | None
    format: str
    line: int | None = None  # in the crawl's warc.paths, if the input comes from there: it becomes file_no


SELECTIONS: Final = _table(
    "selections",
    "One row for each record chosen from an index of the crawl (`--index`).",
    _column("file_no", pa.int32(), "Input file."),
    _column("offset", pa.int64(), "Offset of the record in the file."),
    _column("length", pa.int64(), "Bytes of the record as stored."),
)

PAGES: Final = _table(
    "pages",
    "One row for each Japanese page of WARCs, and each imported text.",
    _column("doc_id", pa.int64(), "Where the page came from: crawl, input file and offset."),
    _nullable("url", pa.string(), "WARC-Target-URI."),
    _nullable(
        "host",
        pa.string(),
        "Host of the URL in lower case, as written there (IDNA names stay encoded), without port and trailing dot.",
    ),
    _nullable("date", TIMESTAMP, "WARC-Date."),
    _nullable("title", pa.string(), "Title of the page."),
    _column("text", pa.string(), "Main text; blocks are separated by one `\\n`."),
    _nullable("charset", pa.string(), "Encoding in which the page was read (WHATWG name)."),
    _column("language_score", pa.float32(), "Share of kana among the letters of the text, 0 to 1."),
    _column("num_chars", pa.int32(), "Length of the text in code points."),
    _column("record_length", pa.int64(), "Bytes of the record as stored. Imported text: bytes of the row."),
    _nullable(
        "payload_sha1",
        pa.string(),
        "`sha1:` and base 32, of the body without HTTP encodings. Imported text: SHA-1 of the text, in hexadecimal.",
    ),
    _nullable(
        "robots",
        pa.string(),
        "X-Robots-Tag headers and meta robots, joined by `; `. No rule uses it.",
    ),
    _nullable(
        "truncated",
        pa.bool_(),
        "Whether text may be missing: the crawler cut the record (WARC-Truncated), or the HTTP encoding of the page is "
        "cut, has a wrong checksum or something behind its end. Null for imported text, and where the column is "
        "missing: older files lack it.",
    ),
)

FAILURES: Final = _table(
    "failures",
    "One row for each thing that could not be read.",
    _column("file_no", pa.int32(), "Input file."),
    _column("offset", pa.int64(), "Byte offset, or row number."),
    _column(
        "scope",
        pa.string(),
        "`record`: a lost record. `file`: a problem with the whole file. `gap`: damage between records.",
    ),
    _column("stage", pa.string(), "`ingest`."),
    _column(
        "reason",
        pa.string(),
        "Records, in the WARC: truncated, bad_crc, bad_gzip, wrong_content_length, bad_header, record_too_large, "
        "bad_zstd, no_record (at the index's offset). Records, in the page: bad_http, bad_encoding (the HTTP encoding "
        "is damaged "
        "and nothing Japanese can be decoded), inflated_size, inflated_ratio, too_large, too_many_tags, too_deep, "
        "undecodable, parse_error, crashed, timed_out. Imported text: not_json, not_utf8, no_text_column, "
        "record_too_large. Gaps: garbage, truncated, bad_crc, bad_gzip, bad_zstd, bad_zip. Files: unreadable, "
        "changed (since it was registered, or while it was read), empty, not_a_warc, "
        "unsupported_format (named in the detail), shared_gzip_member (a note: its "
        "records are read); of imported text without any usable row, the first row's reason.",
    ),
    _nullable("detail", pa.string(), "Description, at most 1,000 characters."),
)

LEDGER: Final = _table(
    "ledger",
    "Outcomes of each file's records: one row for each file and outcome.",
    _column("file_no", pa.int32(), "Input file."),
    _column(
        "outcome",
        pa.string(),
        "`page`, `passed_over:REASON` or `failure:REASON`. Reasons for passing over: not_a_response, status (not 200), "
        "not_html, no_sign_of_japanese (in the bytes), no_text, not_japanese (the text), removed.",
    ),
    _column("num_records", pa.int64(), "Records with this outcome."),
)

SKETCHES: Final = _table(
    "sketches",
    "One row for each page.",
    _DOC_ID,
    _column(
        "bands",
        pa.list_(pa.int64()),
        "One key for each band: XXH64, with the band's number as seed, of the band's values of the signature.",
    ),
    _column("sketch", pa.binary(), "One bit of each value of the signature, packed: 100 bytes for 800 values."),
    _column("text_hash", pa.int64(), "XXH64 of the text's UTF-8 bytes."),
)

DUPLICATES: Final = _table(
    "duplicates",
    "One row for each page that dedup drops.",
    _column("doc_id", pa.int64(), "The page that is dropped."),
    _column("witness", pa.int64(), "The page that it is a near-duplicate of."),
    _column("representative", pa.int64(), "The page at the end of the chain of witnesses; always kept."),
    _column("band", pa.int32(), "The first band in which the two share a bucket, from 0."),
    _column("similarity", pa.float32(), "Jaccard similarity of the two, estimated from their sketches, 0 to 1."),
    _column("policy", pa.string(), "`bucket`, `greedy` or `component`."),
)

TOMBSTONES: Final = _table(
    "tombstones",
    "Removal requests: one row for each URL or host.",
    _column("kind", pa.string(), "`host` or `url`."),
    _column("value", pa.string(), "The URL or host, normalised for comparison."),
    _column("key", pa.binary(), "16-byte lookup key."),
)

REMOVED: Final = _table("removed/crawl=CRAWL", "One row for each page that matches a removal request.", _DOC_ID)

REMOVED_DUPLICATES: Final = _table(
    "removed_duplicates",
    "Pages with the text of a removed page. The files are in `tombstones/`; the manifests list them.",
    _column("removed", pa.int64(), "The removed page."),
    _nullable("removed_url", pa.string(), "Its URL."),
    _column(
        "relation",
        pa.string(),
        "`fell_for_it`: dedup dropped this page in favour of the removed one. `it_fell_for`: the reverse.",
    ),
    _column("doc_id", pa.int64(), "The page with the same text."),
    _nullable("url", pa.string(), "URL of that page."),
    _column("similarity", pa.float32(), "Estimated Jaccard similarity of the two."),
)

GROUPS: Final = _table(
    "groups",
    "One row for each page that dedup keeps.",
    _DOC_ID,
    _column("num_duplicates", pa.int64(), "Number of dropped pages that it represents."),
)

CONTAMINATION: Final = _table(
    "contamination/crawl=CRAWL",
    "One row for each kept page that shares an n-gram with a question of the configured benchmarks.",
    _DOC_ID,
    _column("fraction", pa.float64(), "The largest share of a question's distinct n-grams in the page."),
    _column("question", pa.int32(), "Line of that question, counted from 0 over all files."),
)

VERDICTS: Final = _table(
    "verdicts/preset=PRESET",
    "One row for each page that dedup keeps.",
    _DOC_ID,
    _column("accepted", pa.bool_(), "True if no rule is broken."),
    _column(
        "reasons",
        pa.list_(pa.string()),
        "All broken rules, in the order of the preset: `FEATURE:low`, `FEATURE:high`, then `host:CATEGORY`, "
        "`url:CATEGORY` (`blocked` for lists without categories), `contaminated`.",
    ),
)

SCORES: Final = _table(
    "scores/classifier=CLASSIFIER",
    "One row for each accepted page.",
    _DOC_ID,
    _column("score", pa.float64(), "Sum of weight x probability over the classifier's labels."),
)

SUBSETS: Final = _table(
    "subsets/SUBSET",
    "One row for each page of a subset. Each classifier that any subset uses adds a float64 column `score_CLASSIFIER`.",
    _DOC_ID,
    _nullable("url", pa.string(), "As in `pages`."),
    _nullable("title", pa.string(), "As in `pages`."),
    _column("text", pa.string(), "Text after clean-up. Features and scores are of the text in `pages`."),
    _nullable("date", TIMESTAMP, "As in `pages`."),
    _column("num_chars", pa.int32(), "Length of this text in code points."),
)

TEXTS: Final = _table(
    "texts",
    "A separate file, not part of a corpus. `sample` and `wiki-positives` write it; `label --from`, `train` and "
    "`evaluate` read it, as Parquet or JSON lines (`.jsonl`, `.jsonl.gz`, `.jsonl.zst`), with only the columns "
    "that they use. Two optional columns: `stratum` of a sample `--by score`, as in `labels`; and `label`, the class "
    "for `train --task wiki` (`positive`, `negative`): the value of `sample --label`, or `positive` for Wikipedia.",
    _nullable(
        "doc_id",
        pa.int64(),
        "The page; for Wikipedia, the article's page id. For `label --from` this column suffices: `--corpus` provides "
        "the text.",
    ),
    _nullable("url", pa.string(), "URL of the page or article."),
    _column("text", pa.string(), "Main text, as in `pages`; for articles, text with the title as first line."),
    _nullable("source", pa.string(), "Crawl and URL; or `Wikipedia: TITLE`."),
    _nullable("license", pa.string(), "Licence of the text, if known: `CC-BY-SA-4.0` for articles."),
)

LABELS: Final = _table(
    "labels",
    "A separate file, not part of a corpus. `label` writes it as Parquet or JSON lines, in the order of the texts; "
    "`train --task edu` and `evaluate --task edu` read it.",
    _nullable("doc_id", pa.int64(), "As in the texts."),
    _nullable("score", pa.int32(), "0 to 3; null unless the outcome is `scored`."),
    _column("answer", pa.string(), "Answer of the LLM; if the outcome is `failed`, the server's message."),
    _column("model", pa.string(), "Name of the LLM on the server."),
    _column("prompt", pa.string(), "Name of the template and the beginning of its SHA-256: `edu-1-…`."),
    _column(
        "outcome",
        pa.string(),
        "`scored`; `refused`: the LLM or a filter declined; `unparsable`: the answer has another form than requested; "
        "`failed`: the server rejected the request.",
    ),
    *(
        (field, "As in the texts; the whole text, though the LLM sees only its beginning (`label.max_chars`).")
        if field.name == "text"
        else (field, "As in the texts.")
        for field in TEXTS
        if field.name != "doc_id"
    ),
    _nullable("stratum", pa.string(), "For samples by score: the range of the score, as `0.3 to 0.6`."),
)

HOST_LINES: Final = _table(
    "host_lines/crawl=CRAWL",
    "Lines of the accepted pages of a host. Rows with the same host and line have to be added up.",
    _column("host", pa.int64(), "Key of the host."),
    _column("line", pa.int64(), "Key of the line."),
    _column("num_pages", pa.int32(), "Accepted pages with the line."),
)

HOST_PAGES: Final = _table(
    "host_pages/crawl=CRAWL",
    "Accepted pages of each host. Rows with the same host have to be added up.",
    _column("host", pa.int64(), "Key of the host."),
    _column("num_pages", pa.int64(), "Accepted pages of the host."),
)

TOKENS: Final = _table(
    "tokens/SUBSET",
    "Tokens by the configured tokenizer: one row for each page of a subset, for its text there; in `tokens/accepted` "
    "for each accepted page, for its main text.",
    _DOC_ID,
    _column("num_tokens", pa.int32(), "Tokens without special tokens."),
)

# doc_id: bit 63 is 0, bits 62-53 crawl_no (from 1), bits 52-32 file_no, bits 31-0 the record's offset in the part of
# its file that begins at base_offset (imported text: the row number). So doc_ids are positive, ascend in the order of
# registration, and locate the raw record.
MAX_CRAWL_NO: Final = (1 << 10) - 1
MAX_FILE_NO: Final = (1 << 21) - 1
OFFSET_BITS: Final = 32
CRAWL_SHIFT: Final = 53
BYTES_PER_FILE_NO: Final = 1 << OFFSET_BITS


class DocId(NamedTuple):
    crawl_no: int
    file_no: int
    offset: int


def pack_doc_id(crawl_no: int, file_no: int, offset: int) -> int:
    """The doc_id of the record at `offset` (0 <= offset < 2**32) of file `file_no` of crawl `crawl_no`.

    Raises ValueError if a part does not fit its bits.
    """
    if not (1 <= crawl_no <= MAX_CRAWL_NO and 0 <= file_no <= MAX_FILE_NO and 0 <= offset < BYTES_PER_FILE_NO):
        raise ValueError(f"no doc_id for crawl_no {crawl_no}, file_no {file_no}, offset {offset}")
    return crawl_no << CRAWL_SHIFT | file_no << OFFSET_BITS | offset


def unpack_doc_id(doc_id: int) -> DocId:
    """`(crawl_no, file_no, offset)` of a doc_id."""
    return DocId(doc_id >> CRAWL_SHIFT, doc_id >> OFFSET_BITS & MAX_FILE_NO, doc_id & (BYTES_PER_FILE_NO - 1))
