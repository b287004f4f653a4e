"""WARC framing that survives damage: finds where records begin and end from the bytes alone.

`warc.read` uses it from the first irregularity on. It distinguishes wrong checksums, truncated members, bytes between
members and wrong Content-Lengths, and finds the records after them. Framing follows ISO 28500 (WARC/1.1), leniently:
any version, also in lower case, LF with any number of CR before it, any number of line ends between records.
"""

from collections.abc import Iterator
from typing import Final

from swallow_spark.kernels.warc.members import (
    CHUNK_BYTES,
    MAX_GZIP_HEAD_BYTES,
    WARC,
    BrokenMemberError,
    Layout,
    Members,
    Plain,
    Source,
    Window,
)
from swallow_spark.kernels.warc.records import MAX_HEAD_BYTES, Damage, Record

MAX_TRIED_BYTES: Final = 4 << 30  # read in vain at false starts of members; by chance there is one in 16 MB
SCAN_BYTES: Final = 4 * MAX_HEAD_BYTES  # searched at once for the head of a record


def _skip_to_record(source: Source, layout: Layout) -> bool:
    """Skip to the next valid head of a record; False at the end of the source."""
    while data := source.peek(SCAN_BYTES):
        for line in layout.head_line.finditer(data):
            end = layout.head_end.search(data, line.start(), line.start() + MAX_HEAD_BYTES)
            if end and layout.parse(data[line.start() : end.end()]):
                source.skip(line.start())
                return True
        at_end = len(data) < SCAN_BYTES
        source.skip(len(data) if at_end else len(data) - MAX_HEAD_BYTES)
        if at_end:
            return False
    return False


class CarefulReader:
    """Reads everything from `window.start` on. `items` yields records and damages; offsets count from the window's
    position 0. `any_record`: whether there are records before `window.start`.

    A record is yielded only after what follows it was read: the end of its member with the right checksum, or the next
    record. So no yielded record turns out to be broken later, except records that share members.
    """

    def __init__(
        self, window: Window, max_record_bytes: int, layout: Layout = WARC, *, any_record: bool | None = None
    ) -> None:
        self._window = window
        self._limit = max_record_bytes
        self._layout = layout
        self._last_offset = window.start - 1
        self._any_record = window.start > 0 if any_record is None else any_record
        self._compressed: bool | None = True if self._any_record else None  # the file; None: no record found yet
        self._shared_member_reported = False
        # Whether records go through several members, and so may begin anywhere in one; None: not known yet.
        self._is_joined: bool | None = False if self._any_record else None
        self._gap: Damage | None = None  # bytes without a record, until the next one is found
        self._tried_bytes = 0  # in vain: in a hostile file every byte can seem to begin a long member

    def items(self) -> Iterator[Record | Damage]:
        window, position, layout = self._window, self._window.start, self._layout
        while head := window.at(position, layout.num_first):
            if head.startswith(layout.magic) and self._compressed is not False:
                try:
                    members = Members(window, position, self._limit + SCAN_BYTES, layout)
                    yield from self._frame(members)
                    self._is_joined = bool(self._is_joined)
                    resume = members.end
                except BrokenMemberError as broken:
                    if not broken.reported:
                        self._open_gap(broken.start, broken.reason)
                    self._tried_bytes += max(broken.num_read, MAX_GZIP_HEAD_BYTES)
                    resume = self._resume_after(broken)
            elif layout.begins(head) and not self._compressed:
                yield from self._frame(Plain(window, position))
                resume = None
            else:
                self._open_gap(position, "garbage")
                resume = self._find_start(position + 1)
            if resume is None:
                break
            position = resume
            window.release(position)
        if self._gap and self._any_record:
            yield from self._close_gap(window.end)
        elif self._gap:
            yield Damage(0, "file", "not_a_warc", f"no record in {window.end} bytes ({self._gap.reason})")
        elif not self._any_record:
            yield Damage(0, "file", "empty", f"no record in {window.end} bytes")

    def _frame(self, source: Plain | Members) -> Iterator[Record | Damage]:
        """The records of members or of a plain file."""
        num_records, layout = 0, self._layout
        while True:
            source.in_record = False
            source.skip_line_ends()
            if not source.peek(1):
                return
            source.in_record = True
            start = layout.peek_first(source)
            begin, place = source.tell, source.place
            is_record = layout.begins(start)
            head = source.peek_through(layout.head_end, MAX_HEAD_BYTES) if is_record else None
            if head is None and (not is_record or len(source.peek(MAX_HEAD_BYTES)) < MAX_HEAD_BYTES):
                cut = layout.may_begin(start)
                source.skip(1)
                if not _skip_to_record(source, self._layout):
                    self._open_gap(place, "truncated" if cut else "garbage")
                    return
                self._open_gap(place, "garbage")
                continue
            yield from self._close_gap(place)
            num_records += 1
            if num_records == 2 and isinstance(source, Members) and not self._shared_member_reported:
                self._shared_member_reported = True
                detail = "a member holds several records; those behind its first have made-up offsets"
                yield Damage(place, "file", "shared_gzip_member", detail)
            self._any_record = True
            self._compressed = isinstance(source, Members)
            self._last_offset = offset = max(place, self._last_offset + 1)
            headers = layout.parse(head) if head else None
            if head is None or headers is None:
                source.skip(5)
                try:
                    _skip_to_record(source, self._layout)
                except BrokenMemberError as broken:
                    broken.reported = True
                    yield Damage(offset, "record", broken.reason, broken.detail)
                    raise
                detail = "WARC-Type or a usable Content-Length is missing" if head else "the record's head does not end"
                yield Damage(offset, "record", "bad_header", detail)
                continue
            source.skip(len(head))
            if "content-length" not in headers:
                _skip_to_record(source, layout)
                yield Record(offset, source.tell - begin, headers, b"")
                continue
            yield from self._read_block(source, headers, begin, offset, alone=num_records == 1)
            if isinstance(source, Members) and source.is_joined:
                self._is_joined = True

    def _read_block(
        self, source: Plain | Members, headers: dict[str, str], begin: int, offset: int, *, alone: bool
    ) -> Iterator[Record | Damage]:
        """The record whose block begins at `source`, or its damage; `source` is then at the next record."""
        length = int(headers["content-length"])
        too_large = length > self._limit
        block = b""
        try:
            if too_large:
                num_read = source.skip(length)
            else:
                block = source.take(length)
                num_read = len(block)
            source.in_record = False
            tail = source.peek(6)
            # Zeros right behind a block are those that a file was filled up with, unless it was filled up from within.
            is_filled = tail.lstrip(b"\r\n").startswith(b"\0") and not block.endswith(b"\0")
            is_ended = is_filled or self._layout.record_end.match(tail) is not None
            line_ends = source.skip_line_ends(None if is_ended else MAX_HEAD_BYTES)  # those to be put back take memory
            size, behind = source.tell - begin, source.place
            is_followed = self._layout.may_begin(self._layout.peek_first(source))
            sound = num_read == length and (is_followed or is_ended)
            if not sound:
                source.in_record = True
                source.put_back(block + b"\n" * line_ends)
                found = _skip_to_record(source, self._layout)
            elif not is_followed:  # such as zeros, with which a file was filled up
                self._open_gap(behind, "garbage")
                _skip_to_record(source, self._layout)
        except BrokenMemberError as broken:
            broken.reported = True
            yield Damage(offset, "record", broken.reason, broken.detail)
            raise
        if not sound:
            if num_read < length and not found and isinstance(source, Plain):
                yield Damage(offset, "record", "truncated", f"the file ends {num_read} bytes into {length}")
            else:
                detail = f"no record begins behind the {length} bytes that it declares"
                yield Damage(offset, "record", "wrong_content_length", detail)
        elif too_large:
            detail = f"Content-Length {length} is over the limit of {self._limit}"
            yield Damage(offset, "record", "record_too_large", detail)
        else:
            if isinstance(source, Members) and source.end is not None and alone and not source.peek(1):
                size = source.end - source.start
            yield Record(offset, size, headers, block)

    def _resume_after(self, broken: BrokenMemberError) -> int | None:
        """Where the next record begins after a broken member."""
        if broken.end is not None and (self._is_start(broken.end) or not self._window.at(broken.end, 1)):
            return broken.end
        return self._find_start(max(broken.start + 1, self._window.start))

    def _find_start(self, position: int) -> int | None:
        """The first place from `position` on where a record begins, or None. The first record decides whether only
        compressed or only plain ones count: a WARC stored in a compressed one is not part of it."""
        window = self._window
        while data := window.at(position, CHUNK_BYTES):
            for start in self._layout.start.finditer(data):
                if self._is_start(position + start.start()):
                    return position + start.start()
            if len(data) < CHUNK_BYTES:
                break
            position += len(data) - 4
            window.release(position)
        return None

    def _is_start(self, position: int) -> bool:
        window, layout = self._window, self._layout
        if layout.begins(window.at(position, layout.num_first)):
            head = window.at(position, MAX_HEAD_BYTES) if not self._compressed else b""
            end = layout.head_end.search(head)
            return end is not None and layout.parse(head[: end.end()]) is not None
        if self._compressed is False:
            return False
        if self._tried_bytes > MAX_TRIED_BYTES:  # the rest of the file is a gap
            return False
        try:
            member = layout.member(window, position, self._limit + SCAN_BYTES)
            start = layout.peek_first(member)
            if layout.begins(start) or (start and self._is_joined is not False):
                return True
            num_read = member.num_read
        except BrokenMemberError as broken:
            num_read = broken.num_read
        self._tried_bytes += max(num_read, MAX_GZIP_HEAD_BYTES)
        return False

    def _open_gap(self, position: int, reason: str) -> None:
        if self._gap is None:
            self._gap = Damage(position, "gap", reason, "")

    def _close_gap(self, end: int) -> Iterator[Damage]:
        if self._gap:
            self._gap.detail = f"{max(end - self._gap.offset, 1)} bytes up to the next record or the end of the file"
            yield self._gap
            self._gap = None
