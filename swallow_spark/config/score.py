"""[classifiers.NAME]: models that score pages."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from swallow_spark.config.section import NAME_PATTERN, Section, absolute, existing_file, public_address, sha256_of
from swallow_spark.errors import meant
from swallow_spark.kernels.classifiers import KINDS

# Part of a column's name, in which a dot would mean a field of a struct.
ClassifierName = Annotated[str, Field(pattern=NAME_PATTERN.replace(".", ""))]


def _file_or_url(place: Path | str, info: ValidationInfo) -> Path | str:
    if "://" in str(place):
        return public_address(str(place))
    if info.context and info.context.get("is_remembered"):  # only scoring needs it: `_content` checks that it is known
        return absolute(Path(place), info)
    return existing_file(Path(place), info)


def _known_kind(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"no such kind of classifier: {kind}{meant(kind, KINDS)} (there are: {', '.join(KINDS)})")
    return kind


class Classifier(Section):
    """A model whose labels carry weights; a page's score is the sum of weight x probability."""

    meaningless = frozenset({"sha256"})

    kind: Annotated[str, AfterValidator(_known_kind)] = Field(
        default="fasttext", description=f"Kind of the model: {', '.join(KINDS)}."
    )
    path: Annotated[str | Path, AfterValidator(_file_or_url)] = Field(
        description="Model file, or its URL (https://, s3://), which is fetched once and checked against `sha256`."
    )
    sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the model. Another file is refused. For a URL without it, a corpus keeps to the "
        "file that it was first scored with.",
    )
    weights: dict[str, float] = Field(
        min_length=1, description="Label -> weight. The score is the sum of weight x probability."
    )
    newlines: Literal["blank", "nothing"] = Field(
        default="blank", description="What replaces a newline: fastText reads a text as one line."
    )
    nfkc: bool = Field(default=False, description="Normalise texts to NFKC, for models trained on such texts.")
    lower_case: bool = Field(default=False, description="Lower-case texts, for models trained on such texts.")

    @model_validator(mode="after")
    def _content(self) -> "Classifier":
        if isinstance(self.path, str):
            return self
        if not self.path.is_file():
            if not self.sha256:
                raise ValueError(f"no such file: {self.path}")
        elif self.sha256 and self.content != self.sha256:
            raise ValueError(f"{self.path} has sha256 {self.content}, not {self.sha256}")
        return self

    @property
    def content(self) -> str:
        """The SHA-256 of the model; empty for a URL whose file isn't known yet."""
        return sha256_of(self.path) if isinstance(self.path, Path) and self.path.is_file() else self.sha256 or ""

    def meaning(self) -> dict[str, Any]:
        known = self.model_copy(update={"path": ""})  # its file may be gone
        values = super(Classifier, known).meaning() | {"path": {"sha256": self.content}}
        del values["kind"]  # it has its own part in the fingerprint, with its version
        return values
