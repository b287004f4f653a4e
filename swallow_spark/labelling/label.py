"""Asks an LLM to score texts: many requests at once, each question once, within a budget."""

import hashlib
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Final

from swallow_spark.config.label import Label
from swallow_spark.errors import InputError, UsageError
from swallow_spark.labelling import answers
from swallow_spark.labelling.answers import SCORES, Answer, AnswerLog, Outcome, parse_score
from swallow_spark.labelling.endpoint import Endpoint, EndpointError, PassingError, RefusedError, Reply
from swallow_spark.labelling.pace import BudgetSpentError, Pace
from swallow_spark.labelling.prompt import Prompt, read_prompt
from swallow_spark.labelling.texts import Rows, check_output, read_texts, write_labels

MAX_BACK_OFF: Final = 60.0  # seconds
MAX_WAIT: Final = 600.0  # seconds of Retry-After; beyond, the run ends
GIVEN_UP_IN_A_ROW: Final = 5  # texts given up in a row: the run ends, since the server doesn't answer

Say = Callable[[str], None]


def log_path(output: Path) -> Path:
    """The file beside the labels that keeps every answer; a later run asks only what isn't in it."""
    return output.with_name(f"{output.name}.answers.jsonl")


def label(texts: Path, output: Path, endpoint: Endpoint, model: str | None, section: Label, say: Say) -> dict[str, Any]:
    """Labels the texts of a file into `output` (tables.LABELS, in the order of the texts).

    A text beyond `section.max_chars` is truncated in the question, not in the output. However the run ends, answers are
    kept in `log_path(output)`, and `output` holds the labels so far. Returns a summary: `texts`, `labelled` (rows of
    the output), `remaining`, `scores` (score -> documents, fraction of the scored), `refused`, `unparsable`, `failed`,
    `requests`, `tokens`, `model`, `prompt`, `constraint`, `stopped` (the spent budget, else null), `output`. Raises
    EndpointError if the server can't be used, and before that UsageError and InputError.
    """
    check_output(output)
    prompt = read_prompt(section.prompt)
    try:
        listed = endpoint.models()
    except (PassingError, EndpointError) as error:
        raise UsageError(f"--endpoint {endpoint.url}: {error}") from None
    if model is None:
        model = next((str(entry["id"]) for entry in listed if entry.get("id")), None)
    if model is None:
        raise UsageError(f"--model is needed: {endpoint.url} lists no models")
    is_llama_cpp = any(entry.get("owned_by") == "llamacpp" for entry in listed)
    with AnswerLog(log_path(output)) as log:
        asker = _Asker(endpoint, model, prompt, section, log, is_llama_cpp, say)
        try:
            asker.ask_all(texts)
        finally:
            summary = _write(texts, output, asker, log)
    if asker.put_aside and not asker.answered:
        raise EndpointError(f"{endpoint.url}: no answer to any text: {asker.last_trouble}")
    return summary


def _with_text(path: Path) -> Iterator[Rows]:
    for rows in read_texts(path):
        for row in rows:
            if row["text"] is None:
                raise InputError(f"{path}: page {row['doc_id']} has no text")
        yield rows


def _write(texts: Path, output: Path, asker: "_Asker", log: AnswerLog) -> dict[str, Any]:
    number, outcomes, scores = 0, Counter[str](), Counter[int | None]()
    with write_labels(output) as write:
        for rows in _with_text(texts):
            labelled = []
            for row in rows:
                number += 1
                key = asker.key(row["text"])
                if key in log:
                    found = log[key]
                    outcomes[found.outcome] += 1
                    scores[found.score] += 1
                    result = {"score": found.score, "answer": found.answer, "outcome": found.outcome}
                    labelled.append(row | result | {"model": asker.model, "prompt": asker.prompt.version})
            write(labelled)
    total = outcomes["scored"]
    return {
        "texts": number,
        "labelled": outcomes.total(),
        "remaining": number - outcomes.total(),
        "scores": {str(s): {"documents": scores[s], "fraction": scores[s] / max(1, total)} for s in SCORES},
        **{name: outcomes[name] for name in ("refused", "unparsable", "failed")},
        "requests": asker.pace.requests,
        "tokens": asker.pace.tokens,
        "model": asker.model,
        "prompt": asker.prompt.version,
        "constraint": asker.constraint,
        "stopped": asker.stopped,
        "output": str(output),
    }


class _Asker:
    """Asks the questions of one run."""

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        prompt: Prompt,
        section: Label,
        log: AnswerLog,
        is_llama_cpp: bool,
        say: Say,
    ) -> None:
        self._endpoint, self._section, self._log, self._say = endpoint, section, log, say
        self.model, self.prompt = model, prompt
        self._is_llama_cpp = is_llama_cpp
        self._may_drop_constraint = section.constraint == "auto"
        self.constraint: str = section.constraint
        if section.constraint == "auto":
            self.constraint = "grammar" if is_llama_cpp else "json_schema"
        self.pace = Pace(section)
        self.stopped: str | None = None
        self.answered = self.put_aside = 0
        self.last_trouble = ""
        self._in_a_row = 0
        self._lock = threading.Lock()

    def _body(self, text: str) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": self.prompt.about(text[: self._section.max_chars])}],
            "temperature": self._section.temperature,
            "seed": self._section.seed,
            "max_tokens": self._section.max_answer_tokens,
        }

    def key(self, text: str) -> str:
        """Identifies a question: text as sent, prompt, model and settings."""
        canonical = json.dumps(self._body(text), sort_keys=True).encode()  # lone surrogates stay escaped
        return hashlib.blake2b(canonical, digest_size=16).hexdigest()

    def ask_all(self, texts: Path) -> None:
        """Asks about every distinct text that has no answer yet, until all are asked or the run must end."""
        asked: set[str] = set()
        waiting: set[Future[None]] = set()
        with ThreadPoolExecutor(self._section.concurrency) as pool:
            try:
                for rows in _with_text(texts):
                    for row in rows:
                        key = self.key(row["text"])
                        if key in self._log or key in asked or self.pace.stopped.is_set():
                            continue
                        asked.add(key)
                        waiting.add(pool.submit(self._ask, key, row["text"]))
                        while len(waiting) >= 2 * self._section.concurrency:
                            waiting = self._reap(waiting)
                while waiting:
                    waiting = self._reap(waiting)
            finally:
                self.pace.stopped.set()
                pool.shutdown(cancel_futures=True)

    def _reap(self, waiting: set[Future[None]]) -> set[Future[None]]:
        done, left = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
        return left

    def _ask(self, key: str, text: str) -> None:
        """Asks one question, with retries, and keeps the answer."""
        for attempt in range(self._section.attempts):
            if self.pace.stopped.is_set():
                return
            try:
                answer = self._try(key, self._body(text))
            except BudgetSpentError as spent:
                self.stopped = str(spent)
                self.pace.stopped.set()
                return
            except PassingError as error:
                self._wait(error, attempt)
                continue
            self._log.add(answer)
            with self._lock:
                self.answered += 1
                self._in_a_row = 0
                if self.answered % 100 == 0:
                    self._say(f"label: {self.answered:,} answers, {self.pace.tokens:,} tokens")
            return
        with self._lock:
            self.put_aside += 1
            self._in_a_row += 1
            if self._in_a_row >= GIVEN_UP_IN_A_ROW and not self.pace.stopped.is_set():
                raise EndpointError(f"{self._endpoint.url} no longer answers: {self.last_trouble}")

    def _wait(self, error: PassingError, attempt: int) -> None:
        self.last_trouble = str(error)
        if error.after is not None and error.after > MAX_WAIT:
            raise EndpointError(f"{self._endpoint.url} asks to wait for {error.after:.0f} s: {error}")
        if attempt + 1 == self._section.attempts:
            return
        if error.after is not None:
            self.pace.pause(error.after)
        back_off = min(MAX_BACK_OFF, self._section.back_off_seconds * 2**attempt)
        self.pace.sleep(max(error.after or 0.0, 0.0) + back_off * random.uniform(0.5, 1.0))

    def _try(self, key: str, body: dict[str, Any]) -> Answer:
        """One attempt. A refused question has failed; if the constraint may be dropped, it is first asked without
        it."""
        constraint = self.constraint
        try:
            try:
                return self._send(key, body | self._constrained(constraint))
            except RefusedError:
                if not self._may_drop_constraint or constraint == "none":
                    raise
            answer = self._send(key, body)
        except RefusedError as refused:
            return Answer(key, "failed", None, str(refused), 0, 0)
        with self._lock:
            if self.constraint != "none":
                self.constraint = "none"
                self._say(f"label: the server doesn't support {constraint}; answers are parsed without it")
        return answer

    def _send(self, key: str, body: dict[str, Any]) -> Answer:
        # Current tokenizers rarely need more than one token per Japanese character.
        estimate = len(body["messages"][0]["content"]) + self._section.max_answer_tokens
        self.pace.start(estimate)
        used = 0
        try:
            reply = self._endpoint.ask(body)
            known = reply.prompt_tokens is not None and reply.completion_tokens is not None
            used = (reply.prompt_tokens or 0) + (reply.completion_tokens or 0) if known else estimate
        finally:
            self.pace.settle(estimate, used)
        return _answer(key, reply)

    def _constrained(self, constraint: str) -> dict[str, Any]:
        """The part of the request that constrains the answer's format."""
        if constraint == "json_schema":
            schema = {"name": "score", "strict": True, "schema": answers.SCHEMA}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        if constraint == "grammar":
            return {"grammar": answers.GRAMMAR}
        if constraint == "choice":
            if self._is_llama_cpp:
                return {"grammar": answers.CHOICE_GRAMMAR}
            return {"structured_outputs": {"choice": answers.CHOICES}}
        return {}


def _answer(key: str, reply: Reply) -> Answer:
    score = None if reply.refusal else parse_score(reply.content)
    outcome: Outcome = "refused" if reply.refusal else "unparsable" if score is None else "scored"
    return Answer(key, outcome, score, reply.content, reply.prompt_tokens or 0, reply.completion_tokens or 0)
