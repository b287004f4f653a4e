"""[sketch] and [features]: what is measured on each page's text."""

from typing import Literal

from pydantic import Field, model_validator

from swallow_spark.config.section import ReadListing, Section


class Sketch(Section):
    """Signatures: MinHash over character shingles, cut into bands. Swallow's setting is 40 bands of 20 values."""

    shingle_chars: int = Field(default=5, ge=1, le=32)
    bands: int = Field(default=40, ge=1, le=127)
    rows_per_band: int = Field(default=20, ge=1, le=256)
    seed: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _whole_bytes(self) -> "Sketch":
        if self.bands * self.rows_per_band % 8:
            raise ValueError("bands x rows_per_band must be a multiple of 8 (the 1-bit sketch is whole bytes)")
        return self


class Features(Section):
    """Numbers measured on each page's text, which the rules compare."""

    blank_lines: Literal["drop", "keep"] = "drop"
    ng_words: ReadListing | None = Field(
        default=None, description="file or URL of NG expressions, one a line; none: not measured"
    )
    phrases: ReadListing | None = Field(
        default=None,
        description="file or URL of phrases, one a line, that a rule on num_phrases rejects; none: not measured",
    )
    ng_variants: tuple[Literal["width", "kana"], ...] = Field(
        default=(),
        description="differences that don't matter in these lists: half and full width, hiragana and katakana",
    )
    groups: tuple[Literal["lines", "compression"], ...] = Field(
        default=(), description="features of other pipelines, measured beside those of Swallow"
    )
