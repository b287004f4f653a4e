"""[label]: requests to an LLM for scores of texts."""

from typing import Literal

from pydantic import Field

from swallow_spark.config.section import ExistingFile, Section


class Label(Section):
    """Requests to an LLM. Nothing here enters a fingerprint: answers are cached by request."""

    prompt: ExistingFile | None = Field(
        default=None, description="Template that contains {text}. Default: the packaged conf/prompts/edu-1.txt."
    )
    max_chars: int = Field(default=5000, ge=1, description="The LLM sees this many characters from a text's beginning.")
    max_answer_tokens: int = Field(default=400, ge=1, description="Most tokens of an answer.")
    temperature: float = Field(default=0.0, ge=0, le=2, description="Sampling temperature.")
    seed: int = Field(default=0, ge=0, le=(1 << 31) - 1, description="Sampling seed, if the server takes one.")
    constraint: Literal["auto", "json_schema", "grammar", "choice", "none"] = Field(
        default="auto",
        description="Constraint on the answer. json_schema: reasons and score as JSON. grammar: reasons, then the line "
        "with the score (llama.cpp). choice: that line alone (vLLM, llama.cpp). auto: grammar on llama.cpp, otherwise "
        "json_schema if the server supports it, otherwise none.",
    )
    concurrency: int = Field(default=8, ge=1, le=1024, description="Concurrent requests.")
    requests_per_minute: float | None = Field(default=None, gt=0, description="Rate limit. Default: none.")
    tokens_per_minute: float | None = Field(
        default=None, gt=0, description="Rate limit, questions and answers together. Default: none."
    )
    max_requests: int | None = Field(default=None, ge=1, description="Request budget of one run, retries included.")
    max_tokens: int | None = Field(default=None, ge=1, description="Token budget of one run, questions and answers.")
    attempts: int = Field(default=6, ge=1, description="Attempts for a text before it is skipped.")
    back_off_seconds: float = Field(
        default=1.0, ge=0, description="Pause before the second attempt. It doubles, up to a minute."
    )
    timeout_seconds: float = Field(default=120.0, gt=0, description="Time limit of a request with its answer.")
