"""A quick verdict on a record: one compiled pass over its bytes, without a copy.

Most records of a crawl end here. `page.read_page` comes to the same verdict more slowly, and handles irregular ones.
"""

import numpy as np
from numba import njit

from swallow_spark.kernels.html.signs import has_no_sign
from swallow_spark.kernels.warc.heads import ABSENT, equals, names, scan, trimmed
from swallow_spark.kernels.warc.http import FIELDS, MAX_HEAD_BYTES
from swallow_spark.kernels.warc.records import Record

UNSURE, STATUS, NO_SIGN_OF_JAPANESE = range(3)
_HTTP, _HTML, _XHTML = names("http/", "text/html", "application/xhtml+xml")


def skim(record: Record, max_bytes: int) -> int:
    """STATUS: an HTTP response whose status is not 200. NO_SIGN_OF_JAPANESE: a page, by its Content-Type, of at most
    `max_bytes`, not encoded or blank, for which `signs.may_be_japanese` is False. UNSURE otherwise."""
    return _skim(*record.stored, max_bytes)


@njit(cache=True, nogil=True)
def _skim(data: np.ndarray, start: int, end: int, max_bytes: int) -> int:
    status, at = _status(data, start, end)
    if status < 0:
        return UNSURE
    head_end, body, type_from, type_to, encoding, _, transfer, _, _ = scan(
        data, at, min(start + MAX_HEAD_BYTES, end), FIELDS
    )
    if head_end < 0:
        return UNSURE
    if status < 200:  # another response may follow
        return UNSURE
    if status != 200:
        return STATUS
    if type_from < 0 or encoding != ABSENT or transfer != ABSENT or end - body > max_bytes:
        return UNSURE
    parameters = type_from
    while parameters < type_to and data[parameters] != 0x3B:
        parameters += 1
    for k in range(parameters, type_to):
        if data[k] == 0x2C:  # several types
            return UNSURE
    type_from, type_to = trimmed(data, type_from, parameters)
    if not (equals(data, type_from, type_to, _HTML) or equals(data, type_from, type_to, _XHTML)):
        return UNSURE
    first, _ = trimmed(data, body, end)
    if first == end or data[first] == 0x0B:
        return UNSURE
    return NO_SIGN_OF_JAPANESE if has_no_sign(data, body, end) else UNSURE


@njit(cache=True, nogil=True)
def _status(data: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """(status of a regular HTTP status line, the place after it); -1 if it is irregular."""
    at = start + 5
    if at > end or not equals(data, start, at, _HTTP):
        return -1, start
    while at < end and (0x30 <= data[at] <= 0x39 or data[at] == 0x2E):
        at += 1
    if at + 4 > end or data[at] != 0x20 or not 0x30 <= data[at - 1] <= 0x39 or data[start + 5] == 0x2E:
        return -1, start
    status = 0
    for i in range(at + 1, at + 4):
        if not 0x30 <= data[i] <= 0x39:
            return -1, start
        status = 10 * status + data[i] - 0x30
    at += 4
    return (-1, start) if at < end and 0x30 <= data[at] <= 0x39 else (status, at)
