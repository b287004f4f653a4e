"""[decontamination]: pages that hold questions of benchmarks."""

from typing import Annotated, Any

from pydantic import Field

from swallow_spark.config.section import (
    ReadListing,
    Section,
)


class Decontamination(Section):
    """Pages that hold questions of benchmarks are rejected, with the reason `contaminated`; off where none is named."""

    against: tuple[ReadListing, ...] = Field(
        default=(), description="Files or URLs of JSON lines, one question per line. Empty: decontamination is off."
    )
    fields: tuple[str, ...] = Field(
        default=("text", "question", "problem", "prompt", "input"),
        min_length=1,
        description="Keys of the question in a line; the first that a line has is taken.",
    )
    ngram_chars: int = Field(default=16, ge=4, le=256, description="Letters and digits in an n-gram.")
    rejected_from: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.7, description="A page is rejected if it holds this share of a question's n-grams or more."
    )

    def measured(self) -> dict[str, Any]:
        """What the shares depend on, without the bound that they are compared with."""
        return {key: value for key, value in self.meaning().items() if key != "rejected_from"}
