"""Requests to an OpenAI-compatible server, and their possible outcomes."""

import json
import os
import time
from dataclasses import dataclass
from typing import Any, Final

import urllib3

from swallow_spark.addresses import pool_of, proxy_of
from swallow_spark.errors import SwallowSparkError, UsageError
from swallow_spark.files.http import retry_after

MAX_ANSWER_BYTES: Final = 4 << 20
MAX_SHOWN_CHARS: Final = 300
_PASSING: Final = frozenset((408, 409, 425, 429))  # and all of 5xx
_OUR_FAULT: Final = frozenset((401, 402, 403, 404, 405))  # the same for every text


class EndpointError(SwallowSparkError):
    """The server can't be used: it doesn't answer, or refuses every request."""


class PassingError(Exception):
    """A request may succeed if retried; not before `after` seconds, if the server asked for that."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class RefusedError(Exception):
    """The server refuses this request; a retry would not help."""


@dataclass(frozen=True)
class Reply:
    """A server's answer to one question; `refusal`: the model or a filter declined to answer."""

    content: str
    refusal: bool
    prompt_tokens: int | None
    completion_tokens: int | None


class Endpoint:
    """A server. Its key comes from an environment variable, is sent as a header, and is never shown."""

    def __init__(self, url: str, key_variable: str, timeout_seconds: float, connections: int) -> None:
        try:
            parsed = urllib3.util.parse_url(url)
        except urllib3.exceptions.LocationParseError:
            parsed = urllib3.util.Url()
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise UsageError("--endpoint: a URL is needed, such as http://localhost:8000/v1")
        if parsed.auth or parsed.query:
            raise UsageError(f"--endpoint: the URL can't have a login or query; set the key in {key_variable}")
        self.url = url.rstrip("/").removesuffix("/chat/completions")
        self._timeout = timeout_seconds
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key := os.environ.get(key_variable):
            if not key.isascii() or not key.isprintable():
                raise UsageError(f"the key in {key_variable} has characters that a header can't hold")
            self._headers["Authorization"] = f"Bearer {key}"
        self._key = key
        self._pool = pool_of(proxy_of(self.url), maxsize=connections, block=True, retries=False)

    def models(self) -> list[dict[str, Any]]:
        """The models that the server lists, if it does. Raises EndpointError, PassingError."""
        try:
            found = self._request("GET", "/models", None).get("data")
        except RefusedError:
            return []
        return [model for model in found if isinstance(model, dict)] if isinstance(found, list) else []

    def ask(self, body: dict[str, Any]) -> Reply:
        """Sends one chat completion. Raises PassingError, RefusedError, EndpointError."""
        answer = self._request("POST", "/chat/completions", body)
        try:
            choice = answer["choices"][0]
            message = choice["message"]
            content, refusal = message.get("content"), message.get("refusal")
            usage = answer.get("usage") or {}
            tokens = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
            filtered = choice.get("finish_reason") == "content_filter"
            if not isinstance(content, str | None) or not isinstance(refusal, str | None):
                raise TypeError
        except (KeyError, IndexError, TypeError, AttributeError):
            raise PassingError("the answer is not a chat completion") from None
        prompt_tokens, completion_tokens = (value if type(value) is int and value >= 0 else None for value in tokens)
        return Reply(content or refusal or "", bool(refusal) or filtered, prompt_tokens, completion_tokens)

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        deadline = time.monotonic() + self._timeout
        try:
            response = self._pool.request(
                method,
                self.url + path,
                body=None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
                headers=self._headers,
                timeout=urllib3.Timeout(connect=min(10.0, self._timeout), read=self._timeout),
                preload_content=False,
                redirect=False,  # the key is for this server alone
            )
            with response:
                content = self._read(response, deadline)
        except urllib3.exceptions.HTTPError as error:
            raise PassingError(f"{type(error).__name__}") from error
        if response.status == 200:
            return _as_object(content)
        said = f"HTTP status {response.status}: {_message(content)}"
        if self._key:  # some servers repeat it
            said = said.replace(self._key, "…")
        if response.status in _PASSING or response.status >= 500:
            raise PassingError(said, retry_after(response))
        if response.status in _OUR_FAULT or 300 <= response.status < 400:
            raise EndpointError(f"{self.url}{path}: {said}")
        raise RefusedError(said)

    def _read(self, response: Any, deadline: float) -> bytes:
        chunks = bytearray()
        while chunk := response.read1(1 << 16):
            chunks += chunk
            if len(chunks) > MAX_ANSWER_BYTES:
                raise PassingError(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
            if time.monotonic() > deadline:
                raise PassingError("time-out: the answer is incomplete")
        return bytes(chunks)


def _as_object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise PassingError("the answer is not a JSON object")
    return value


def _message(content: bytes) -> str:
    """The server's error message, in one short line."""
    text = content[:10_000].decode("utf-8", "replace")
    try:
        error = json.loads(text)
        error = error.get("error", error) if isinstance(error, dict) else error
        text = str(error.get("message", error)) if isinstance(error, dict) else str(error)
    except (ValueError, RecursionError):
        pass
    return " ".join(text.split())[:MAX_SHOWN_CHARS]
