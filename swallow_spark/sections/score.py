"""[classifiers.NAME]: models that give pages scores."""

from typing import Annotated

from pydantic import Field, model_validator

from swallow_spark.sections.section import NAME_PATTERN, ExistingFile, Section, sha256_of

# A classifier's name becomes part of a column's, where a dot would stand for a field of a struct.
ClassifierName = Annotated[str, Field(pattern=NAME_PATTERN.replace(".", ""))]


class Classifier(Section):
    """A fastText model whose labels carry weights; a page's score is the sum of weight x probability."""

    meaningless = frozenset({"sha256"})

    path: ExistingFile
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    weights: dict[str, float] = Field(min_length=1, description="label -> weight")

    @model_validator(mode="after")
    def _content(self) -> "Classifier":
        if self.sha256 and (found := sha256_of(self.path)) != self.sha256:
            raise ValueError(f"{self.path} has sha256 {found}, not {self.sha256}")
        return self
