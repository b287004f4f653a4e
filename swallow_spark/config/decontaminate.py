"""[decontamination]: pages that hold questions of benchmarks."""

from typing import Annotated, Any

from pydantic import Field

from swallow_spark.config.section import ReadListing, Section


class Decontamination(Section):
    """Pages that hold questions of benchmarks are rejected, with the reason `contaminated`; off where none is named."""

    against: tuple[ReadListing, ...] = Field(
        default=(), description="files or URLs of JSON lines, each with a question under the first of `fields` it has"
    )
    fields: tuple[str, ...] = Field(default=("text", "question", "problem", "prompt", "input"), min_length=1)
    ngram_chars: int = Field(default=16, ge=4, le=256, description="letters and digits that are compared as one piece")
    rejected_from: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.7, description="share of a question's n-grams in a page"
    )

    def measured(self) -> dict[str, Any]:
        """What the shares depend on, without the bound that they are compared with."""
        return {key: value for key, value in self.meaning().items() if key != "rejected_from"}
