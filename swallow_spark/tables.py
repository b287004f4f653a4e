"""The tables of a corpus: their schemas, and `doc_id`. The only home of column names.

Schemas are Arrow schemas; `docs/data-format.md` describes each column for users.
"""

from typing import Final, NamedTuple

import pyarrow as pa

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

INPUTS: Final = pa.schema(
    [
        pa.field("crawl", pa.string(), nullable=False),
        pa.field("crawl_no", pa.int32(), nullable=False),
        pa.field("file_no", pa.int32(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("etag", pa.string()),
        pa.field("base_offset", pa.int64(), nullable=False),
        pa.field("format", pa.string(), nullable=False),  # warc, or one of files.inputs.TEXT_FORMATS
    ]
)


class InputFile(NamedTuple):
    """An input as found, not yet numbered. `key` names it whatever the mirror or scheme that it came by."""

    key: str
    path: str
    bytes: int  # -1 where it isn't known
    etag: str | None
    format: str  # as in the table
    line: int | None = None  # in the crawl's warc.paths, where the input comes from there: this is its number


SELECTIONS: Final = pa.schema(  # the records of a crawl that an index names
    [
        pa.field("file_no", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int64(), nullable=False),
    ]
)

PAGES: Final = pa.schema(
    [
        pa.field("doc_id", pa.int64(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("host", pa.string()),
        pa.field("date", TIMESTAMP),
        pa.field("title", pa.string()),
        pa.field("text", pa.string(), nullable=False),
        pa.field("charset", pa.string()),
        pa.field("language_score", pa.float32(), nullable=False),
        pa.field("num_chars", pa.int32(), nullable=False),
        pa.field("record_length", pa.int64(), nullable=False),
        pa.field("payload_sha1", pa.string()),
        pa.field("robots", pa.string()),
    ]
)

FAILURES: Final = pa.schema(
    [
        pa.field("file_no", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("scope", pa.string(), nullable=False),  # record, file or gap
        pa.field("stage", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string()),
    ]
)

LEDGER: Final = pa.schema(
    [
        pa.field("file_no", pa.int32(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),  # page, passed_over:REASON or failure:REASON
        pa.field("num_records", pa.int64(), nullable=False),
    ]
)

SKETCHES: Final = pa.schema(
    [
        pa.field("doc_id", pa.int64(), nullable=False),
        pa.field("bands", pa.list_(pa.int64()), nullable=False),
        pa.field("sketch", pa.binary(), nullable=False),
        pa.field("text_hash", pa.int64(), nullable=False),
    ]
)

DUPLICATES: Final = pa.schema(
    [
        pa.field("doc_id", pa.int64(), nullable=False),
        pa.field("witness", pa.int64(), nullable=False),
        pa.field("representative", pa.int64(), nullable=False),
        pa.field("band", pa.int32(), nullable=False),
        pa.field("similarity", pa.float32(), nullable=False),
        pa.field("policy", pa.string(), nullable=False),
    ]
)

TOMBSTONES: Final = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),  # host or url
        pa.field("value", pa.string(), nullable=False),  # in the form in which they are compared
        pa.field("key", pa.binary(), nullable=False),
    ]
)

REMOVED: Final = pa.schema([pa.field("doc_id", pa.int64(), nullable=False)])

REMOVED_DUPLICATES: Final = pa.schema(
    [
        pa.field("removed", pa.int64(), nullable=False),
        pa.field("removed_url", pa.string()),
        pa.field("relation", pa.string(), nullable=False),  # fell_for_it, or it_fell_for
        pa.field("doc_id", pa.int64(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("similarity", pa.float32(), nullable=False),
    ]
)

GROUPS: Final = pa.schema(
    [
        pa.field("doc_id", pa.int64(), nullable=False),
        pa.field("num_duplicates", pa.int64(), nullable=False),
    ]
)

CONTAMINATION: Final = pa.schema(
    [
        pa.field("doc_id", pa.int64(), nullable=False),
        pa.field("fraction", pa.float64(), nullable=False),
        pa.field("question", pa.int32(), nullable=False),  # the number of its line among those of all files, from 0
    ]
)

VERDICTS: Final = pa.schema(
    [
        pa.field("doc_id", pa.int64(), nullable=False),
        pa.field("accepted", pa.bool_(), nullable=False),
        pa.field("reasons", pa.list_(pa.string()), nullable=False),
    ]
)

SCORES: Final = pa.schema(
    [
        pa.field("doc_id", pa.int64(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
    ]
)

SUBSETS: Final = pa.schema(  # and one float64 column score_<classifier> for each classifier
    [
        pa.field("doc_id", pa.int64(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("title", pa.string()),
        pa.field("text", pa.string(), nullable=False),
        pa.field("date", TIMESTAMP),
        pa.field("num_chars", pa.int32(), nullable=False),
    ]
)

TEXTS: Final = pa.schema(  # a sample of pages as training text: a file of its own, not below a corpus
    [
        pa.field("doc_id", pa.int64()),
        pa.field("url", pa.string()),
        pa.field("text", pa.string(), nullable=False),
        pa.field("source", pa.string()),
        pa.field("license", pa.string()),
    ]
)

LABELS: Final = pa.schema(  # an LLM's scores of such texts
    [
        pa.field("doc_id", pa.int64()),
        pa.field("score", pa.int32()),  # null unless the outcome is scored
        pa.field("answer", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),  # scored, refused, unparsable or failed
        *(field for field in TEXTS if field.name != "doc_id"),
        pa.field("stratum", pa.string()),  # of a sample by score: "0.3 to 0.6"
    ]
)

HOST_LINES: Final = pa.schema(  # by kernels.host_lines; rows of the same host and line add up
    [
        pa.field("host", pa.int64(), nullable=False),
        pa.field("line", pa.int64(), nullable=False),
        pa.field("num_pages", pa.int32(), nullable=False),
    ]
)

HOST_PAGES: Final = pa.schema(  # rows of the same host add up
    [
        pa.field("host", pa.int64(), nullable=False),
        pa.field("num_pages", pa.int64(), nullable=False),
    ]
)

TOKENS: Final = pa.schema(
    [
        pa.field("doc_id", pa.int64(), nullable=False),
        pa.field("num_tokens", pa.int32(), nullable=False),
    ]
)

# doc_id: bit 63 is 0, bits 62-53 crawl_no (from 1), bits 52-32 file_no, bits 31-0 the record's offset in the part of
# its file that begins at base_offset (imported text: the row number). So doc_ids are positive and ascend in the order
# of registration, and a doc_id alone finds the raw record.
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

    Raises ValueError where a part does not fit its bits.
    """
    if not (1 <= crawl_no <= MAX_CRAWL_NO and 0 <= file_no <= MAX_FILE_NO and 0 <= offset < BYTES_PER_FILE_NO):
        raise ValueError(f"no doc_id for crawl_no {crawl_no}, file_no {file_no}, offset {offset}")
    return crawl_no << CRAWL_SHIFT | file_no << OFFSET_BITS | offset


def unpack_doc_id(doc_id: int) -> DocId:
    """`(crawl_no, file_no, offset)` of a doc_id."""
    return DocId(doc_id >> CRAWL_SHIFT, doc_id >> OFFSET_BITS & MAX_FILE_NO, doc_id & (BYTES_PER_FILE_NO - 1))
