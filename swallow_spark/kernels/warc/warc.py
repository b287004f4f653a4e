"""The records of a WARC file with their offsets, and all damage in the file.

Intact compressed files consist of valid members with one record each, which are inflated as a whole and framed quickly.
From the first irregularity on, `framing.CarefulReader` reads the file.
"""

from collections.abc import Iterator
from typing import BinaryIO, Final

from swallow_spark.kernels.warc.framing import SCAN_BYTES, CarefulReader
from swallow_spark.kernels.warc.members import GZIP_MAGIC, Window, inflate_member
from swallow_spark.kernels.warc.records import Damage, Record

__all__ = ["MAX_RECORD_BYTES", "Damage", "Record", "read"]

VERSION: Final = 2  # raise it when the same bytes may give other records or damages
MAX_RECORD_BYTES: Final = 64 << 20  # Common Crawl cuts payloads at 1 MiB (since 2025 at 5 MiB)


def read(
    stream: BinaryIO, *, base_offset: int = 0, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Record | Damage]:
    """The records and damages of a WARC file, in file order; compressed per record, as a whole, or not at all.

    Each framed record comes exactly once: as a `Record`, or as a `Damage` of scope `record`. Damaged input raises
    nothing; exceptions of `stream.read` are passed on. `base_offset`, the position of the stream in its file, is added
    to offsets. A block over `max_record_bytes` is a damage (`record_too_large`); memory is bounded by about four times
    that for any file. The stream is read forwards only and need not be seekable.

    Reasons, scope `record`: truncated, bad_crc, bad_gzip, wrong_content_length, bad_header, record_too_large; `gap`:
    garbage, truncated, bad_crc, bad_gzip; `file`: empty, not_a_warc, shared_gzip_member (a note: its records are read).
    """
    window = Window(stream)
    if window.at(0, 3) == GZIP_MAGIC:
        while (member := inflate_member(window, window.start, max_record_bytes + SCAN_BYTES)) is not None:
            data, end = member
            offset = window.start
            record = Record.of_member(base_offset + offset, end - offset, data, max_record_bytes)
            if record is None:
                break
            window.release(end)
            yield record
    for item in CarefulReader(window, max_record_bytes).items():
        item.offset += base_offset
        yield item
