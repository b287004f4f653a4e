"""The records of a WARC file, with their offsets, and everything that is wrong with the file.

Sound members that hold one record each, which is all that intact compressed files consist of, are inflated whole and
framed with a few searches. At the first thing that is not plain and sound `framing.CarefulReader` takes over.
"""

from collections.abc import Iterator
from typing import BinaryIO, Final

from swallow_spark.kernels.warc.framing import SCAN_BYTES, CarefulReader
from swallow_spark.kernels.warc.members import GZIP_MAGIC, Window, inflate_member
from swallow_spark.kernels.warc.records import Damage, Record

__all__ = ["MAX_RECORD_BYTES", "Damage", "Record", "read"]

VERSION: Final = 2  # raise it where other records, or damages, may come out of the same bytes
MAX_RECORD_BYTES: Final = 64 << 20  # Common Crawl cuts payloads at 1 MiB (since 2025 at 5 MiB)


def read(
    stream: BinaryIO, *, base_offset: int = 0, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Record | Damage]:
    """The records and damages of a WARC file, compressed member by member, as a whole, or not at all, in file order.

    Each record that is framed comes exactly once: as a `Record`, or as a `Damage` of scope `record`. Damaged input
    raises nothing; what `stream.read` raises is passed on. `base_offset` is added to offsets: where in its file the
    stream begins. A block over `max_record_bytes` is a damage (`record_too_large`); memory is bounded by some four
    times that, whatever the file holds or inflates to.

    The stream is read forwards only and need not be seekable.

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
