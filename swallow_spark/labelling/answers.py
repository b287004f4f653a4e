"""The format of an LLM's answers, parsing their scores, and the file that keeps all answers.

An answer has reasons, and `Educational score: N` on its last line; with a JSON schema, it is an object that ends with
that key. Anything else is unparsable: no score is guessed.
"""

import fcntl
import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import BinaryIO, Final, Literal, Self

from swallow_spark.errors import UsageError

Outcome = Literal["scored", "refused", "unparsable", "failed"]

SCORES: Final = (0, 1, 2, 3)
KEY: Final = "Educational score"
MAX_REASON_CHARS: Final = 400

CHOICES: Final = [f"{KEY}: {score}" for score in SCORES]
CHOICE_GRAMMAR: Final = f'root ::= "{KEY}: " [0-3]'
GRAMMAR: Final = f'root ::= reason{{0,4}} "{KEY}: " [0-3]\nreason ::= [^\\n]{{1,{MAX_REASON_CHARS // 4}}} "\\n"{{1,2}}'
SCHEMA: Final = {
    "type": "object",
    "properties": {
        "Reasons": {"type": "string", "maxLength": MAX_REASON_CHARS},
        KEY: {"type": "integer", "enum": list(SCORES)},
    },
    "required": ["Reasons", KEY],
    "additionalProperties": False,
}

_LINE: Final = re.compile(rf"[ \t]*{KEY}: ?([0-3])[ \t]*", re.ASCII)


def parse_score(answer: str) -> int | None:
    """The score in an answer; None if it has another format, or lines with different scores."""
    if answer.lstrip().startswith("{"):
        return _parse_json(answer)
    lines = answer.strip().splitlines()
    found = {match[1] for line in lines if (match := _LINE.fullmatch(line))}
    return int(found.pop()) if len(found) == 1 and _LINE.fullmatch(lines[-1]) else None


def _parse_json(answer: str) -> int | None:
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    score = value.get(KEY) if isinstance(value, dict) else None
    return score if type(score) is int and score in SCORES else None


@dataclass(frozen=True)
class Answer:
    """The result of one question. `key` identifies the question, including model, prompt and settings."""

    key: str
    outcome: Outcome
    score: int | None
    answer: str  # the LLM's, unchanged; for a failed question, the server's message
    prompt_tokens: int
    completion_tokens: int


class AnswerLog:
    """All answers so far in a file of JSON lines, synced to disk before they count; memory holds their offsets.

    An incomplete last line of a killed run is dropped; damaged lines before it are no answers. Raises UsageError if
    another run has the file open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[str, int] = {}
        self._lock = Lock()

    def __enter__(self) -> Self:
        self._file: BinaryIO = self.path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise UsageError(f"{self.path}: another run is writing these labels") from None
        self._end = 0
        self._file.seek(0)
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            with suppress(ValueError, TypeError, RecursionError):
                self._places[Answer(**json.loads(line)).key] = self._end
            self._end += len(line)
        self._file.truncate(self._end)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __getitem__(self, key: str) -> Answer:
        with self._lock:
            self._file.seek(self._places[key])
            return Answer(**json.loads(self._file.readline()))

    def add(self, answer: Answer) -> None:
        line = json.dumps(asdict(answer), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        with self._lock:
            self._file.write(line)  # at the end: the file is open for appending
            self._file.flush()
            os.fsync(self._file.fileno())
            self._places[answer.key] = self._end
            self._end += len(line)
