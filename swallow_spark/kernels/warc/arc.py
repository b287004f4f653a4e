"""ARC files (`.arc`, `.arc.gz`), in which archives were kept before WARC: versions 1, 1.1 and 2.

https://archive.org/web/researcher/ArcFileFormat.php: a record is a line `URL IP-address date type length` (version 2
has further words before the length), and what the server sent. Files begin with a record about the file itself, whose
length is often wrong.
"""

import re
from datetime import datetime
from typing import Final

from swallow_spark.kernels.warc.members import GZIP_MAGIC, WARC

_ABOUT: Final = b"filedesc://"
MAX_LINE_BYTES: Final = 10_000
_LINE: Final = re.compile(
    rb"([A-Za-z][A-Za-z0-9+.-]*:[^\n]{0,8000}) ([0-9A-Fa-f.:]{1,45}|-) (\d{12}|\d{14}) ([^\n]{0,1000}) (\d{1,18})\r?\n"
)


def is_arc(start: bytes) -> bool:
    """Whether bytes begin with a record. The one about the file is missing if the file was cut or split."""
    return start.startswith(_ABOUT) or _LINE.match(start) is not None


def _may_begin(data: bytes) -> bool:
    return not data or is_arc(data)


def _parse(head: bytes) -> dict[str, str] | None:
    """The line as the headers that a WARC has in its place."""
    line = _LINE.match(head)
    if head.startswith(_ABOUT):
        return {"warc-type": "warcinfo"}
    if not line:
        return None
    url, address, date, words, length = (word.decode("utf-8", "replace") for word in line.groups())
    media_type = words.split(" ")[0]
    headers = {
        "warc-type": "response",
        "warc-target-uri": url,
        "warc-ip-address": address,
        "content-type": "application/http; msgtype=response" if url.lower().startswith("http") else media_type,
        "content-length": length.lstrip("0") or "0",
    }
    try:
        moment = datetime.strptime(date.ljust(14, "0"), "%Y%m%d%H%M%S")
        headers["warc-date"] = f"{moment.isoformat()}Z"
    except ValueError:  # not a date
        pass
    return headers


LAYOUT: Final = WARC._replace(
    first=re.compile(rb"\n"),
    num_first=MAX_LINE_BYTES,
    begins=is_arc,
    may_begin=_may_begin,
    start=re.compile(re.escape(GZIP_MAGIC)),
    head_line=re.compile(rb"(?m)^(?:" + _LINE.pattern + rb"|filedesc://[^\n]*\n)"),
    head_end=re.compile(rb"\n"),
    record_end=re.compile(rb"\r{0,2}\n"),
    parse=_parse,
)
