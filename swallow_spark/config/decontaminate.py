"""[decontamination]: pages that contain benchmark questions."""

from collections.abc import Iterator
from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field

from swallow_spark.config.section import Listing, ReadListing, Section
from swallow_spark.errors import ConfigError
from swallow_spark.kernels.text import jsonl
from swallow_spark.kernels.text.packed import text_of


class Decontamination(Section):
    """Rejects pages that contain benchmark questions, with the reason `contaminated`. Off unless `against` is set."""

    against: tuple[ReadListing, ...] = Field(
        default=(), description="Files or URLs of JSON lines, one question per line."
    )
    fields: tuple[str, ...] = Field(
        default=("text", "question", "problem", "prompt", "input"),
        min_length=1,
        description="Keys that may hold the question; the first that a line has is used.",
    )
    ngram_chars: int = Field(default=16, ge=4, le=256, description="Letters and digits in an n-gram.")
    rejected_from: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.7, description="A page is rejected if it contains at least this share of a question's n-grams."
    )

    def measured(self) -> dict[str, Any]:
        """The keys that the measured shares depend on: all but the bound."""
        return {key: value for key, value in self.meaning().items() if key != "rejected_from"}

    def questions(self) -> list[str]:
        """The questions of all lists, in order. Raises ConfigError if a line has none."""
        return [question for listing in self.against for question in self._of_list(listing)]

    def _of_list(self, listing: Listing) -> Iterator[str]:
        for line in jsonl.read(pa.BufferReader(text_of(listing.content).encode())):
            if line.problem:
                raise ConfigError(f"{listing.location}, line {line.number}: not JSON: {line.problem[1]}")
            row = line.value if isinstance(line.value, dict) else {}
            question = next((row[field] for field in self.fields if isinstance(row.get(field), str)), None)
            if question is None:
                raise ConfigError(f"{listing.location}, line {line.number}: no text in any of {', '.join(self.fields)}")
            yield question
