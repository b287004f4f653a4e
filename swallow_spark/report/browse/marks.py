"""Marks: pages that a reader found wrongly kept or wrongly dropped, in a file of the reader's.

The corpus isn't touched. The file has a JSON object on each line: `doc_id`, `url`, `mark`, `reason`, `time`. The last
line of a page counts; a `mark` of null takes the mark back. Lines are only ever added.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter

from swallow_spark.errors import UsageError
from swallow_spark.report.browse.source import Source

KINDS: Final = ("wrongly_kept", "wrongly_dropped")
MAX_REASON_CHARS: Final = 1_000
_LABELS: Final = {"wrongly_kept": "negative", "wrongly_dropped": "positive"}
_TEXTS_AT_ONCE: Final = 50


@dataclass(frozen=True)
class Mark:
    """A page's mark. `mark`: one of KINDS, or None for one that was taken back."""

    doc_id: Annotated[int, Field(ge=0, lt=1 << 63)]
    url: str | None
    mark: Annotated[str, Field(pattern=f"^({'|'.join(KINDS)})$")] | None
    reason: str
    time: str


_MARK: Final = TypeAdapter(Mark)


class Marks:
    """The marks in a file, which is made with the first of them."""

    def __init__(self, path: Path, corpus: Path) -> None:
        """Raises UsageError if the file would be in the corpus, can't be read, or has a line that is no mark."""
        self.path = path.absolute()
        if self.path.resolve().is_relative_to(corpus.resolve()):
            raise UsageError(f"--marks {path}: it is inside the corpus, which browse doesn't change; name another file")
        if not self.path.parent.is_dir():
            raise UsageError(f"--marks {path}: there is no directory {self.path.parent}")
        self._lock = threading.Lock()
        self._marks: dict[int, Mark] = {}
        try:
            content = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--marks {path}: can't be read: {error}") from None
        self._is_line_open = bool(content) and not content.endswith("\n")
        # Reasons may hold other characters that end a line for splitlines.
        for number, line in enumerate(content.removesuffix("\n").split("\n") if content else (), 1):
            try:
                mark = _MARK.validate_json(line, strict=True)
            except ValueError:
                raise UsageError(f"--marks {path}: line {number} is no mark; mend it or name another file") from None
            self._keep(mark)

    def _keep(self, mark: Mark) -> None:
        self._marks.pop(mark.doc_id, None)
        if mark.mark:
            self._marks[mark.doc_id] = mark

    def add(self, doc_id: int, url: str | None, mark: str | None, reason: str) -> None:
        """Marks a page, or with None takes its mark back. Raises OSError if the file can't be written."""
        made = Mark(doc_id, url, mark, reason.strip()[:MAX_REASON_CHARS], datetime.now(UTC).isoformat("T", "seconds"))
        with self._lock:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n" * self._is_line_open + json.dumps(asdict(made), ensure_ascii=False) + "\n")
            self._is_line_open = False
            self._keep(made)

    def of(self, doc_id: int) -> Mark | None:
        return self._marks.get(doc_id)

    def all(self) -> list[Mark]:
        """The marks, the newest first."""
        with self._lock:
            return list(self._marks.values())[::-1]

    def labels(self, source: Source) -> Iterator[str]:
        """Lines of JSON with the texts, as `train --task wiki` reads them: what was dropped wrongly is `positive`, what
        was kept wrongly `negative`. Pages that the corpus no longer has are left out."""
        marks = {mark.doc_id: mark for mark in self.all()[::-1]}
        doc_ids = list(marks)
        for at in range(0, len(doc_ids), _TEXTS_AT_ONCE):
            some = doc_ids[at : at + _TEXTS_AT_ONCE]
            among = ", ".join(map(str, some))
            texts = source.rows_of(
                f"SELECT doc_id, url, text FROM {source.among('pages', some)} WHERE doc_id IN ({among})", seconds=60
            )
            for row in sorted(texts, key=lambda row: doc_ids.index(row["doc_id"])):
                mark = marks[row["doc_id"]]
                place = source.place(mark.doc_id)
                told: dict[str, Any] = {**row, "label": _LABELS[str(mark.mark)], "reason": mark.reason}
                told["source"] = f"{place[0] if place else 'unknown'} {row['url'] or ''}".strip()
                yield json.dumps(told, ensure_ascii=False) + "\n"

    def removals(self) -> Iterator[str]:
        """Lines of a list for `remove --urls`: the URLs of pages that were kept wrongly, below the reason."""
        for mark in self.all()[::-1]:
            if mark.mark == "wrongly_kept" and mark.url and len(mark.url.splitlines()) == 1:
                if mark.reason:
                    yield f"# {' '.join(mark.reason.split())}\n"
                yield f"{mark.url}\n"
