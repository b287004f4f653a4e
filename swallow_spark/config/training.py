"""[training]: how `train` makes a classifier."""

from typing import Self

from pydantic import Field, model_validator

from swallow_spark.config.section import Section

KEPT_BUCKETS = 20_000
MIN_QUANTISED_ROWS = 256  # fastText's product quantiser needs as many rows as centroids


class Training(Section):
    """How a classifier is trained. Default features as in Swallow Corpus v2: character 2- and 3-grams.

    Japanese has no blanks, so a document is one or a few "words"; `min_count` keeps these out of the vocabulary.
    """

    epochs: int | None = Field(
        default=None, ge=1, le=10_000, description="Passes over the examples. Default: 5 for wiki, 25 for edu."
    )
    learning_rate: float = Field(default=0.5, gt=0, le=10, description="Learning rate at the start.")
    dim: int = Field(default=16, ge=1, le=4096, description="Dimensions of the vectors.")
    buckets: int = Field(default=200_000, ge=MIN_QUANTISED_ROWS, le=1 << 28, description="Hash buckets of n-grams.")
    min_count: int = Field(default=5000, ge=1, description="Occurrences from which a word enters the vocabulary.")
    minn: int = Field(default=2, ge=1, description="Characters of the shortest n-grams.")
    maxn: int = Field(default=3, ge=1, le=16, description="Characters of the longest n-grams.")
    seed: int = Field(default=0, ge=0, le=(1 << 31) - 1, description="Seed of the initial matrix.")
    balanced: bool | None = Field(
        default=None, description="Cut each class to the size of the rarest. Default: for wiki, not for edu."
    )
    held_out_fraction: float = Field(default=0.1, ge=0, le=0.9, description="Share of examples held out to evaluate.")
    kept_buckets: int = Field(
        default=KEPT_BUCKETS, ge=0, description="Hash buckets that a .ftz keeps, those of the longest vectors. 0: all."
    )
    autotune_seconds: int = Field(
        default=0,
        ge=0,
        description="Seconds of fastText's search for epochs and learning rate; results vary. 0: no search.",
    )

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.minn > self.maxn:
            raise ValueError(f"minn ({self.minn}) is above maxn ({self.maxn})")
        if 0 < self.kept_buckets < MIN_QUANTISED_ROWS or self.kept_buckets > max(self.buckets, KEPT_BUCKETS):
            raise ValueError(
                f"kept_buckets: must be 0 (all) or {MIN_QUANTISED_ROWS} to `buckets` (it is {self.kept_buckets})"
            )
        return self
