"""[sketch] and [features]: what is computed from each page's text."""

from typing import Final, Literal, get_args

from pydantic import Field, model_validator

from swallow_spark.config.section import Listing, ReadListing, Section


class Sketch(Section):
    """Signatures: MinHash over character shingles, cut into bands. Swallow's setting is 40 bands of 20 values."""

    shingle_chars: int = Field(default=5, ge=1, le=32, description="Characters in a shingle.")
    bands: int = Field(default=40, ge=1, le=127, description="Bands that a signature is cut into.")
    rows_per_band: int = Field(default=20, ge=1, le=256, description="Values of the signature in each band.")
    seed: int = Field(default=1, ge=0, description="Seed of the permutations, as datasketch draws them.")

    @model_validator(mode="after")
    def _whole_bytes(self) -> "Sketch":
        if self.bands * self.rows_per_band % 8:
            raise ValueError("bands x rows_per_band must be a multiple of 8 (the 1-bit sketch is whole bytes)")
        return self


class Features(Section):
    """Numbers measured on each page's text; the rules compare them with bounds."""

    blank_lines: Literal["drop", "keep"] = Field(
        default="drop", description="Whether blank lines are dropped before measuring. `keep` is what the v1 code does."
    )
    ng_words: ReadListing | None = Field(
        default=None, description="File or URL of NG expressions, one per line. Without it `ng_fraction` is null."
    )
    phrases: ReadListing | None = Field(
        default=None, description="File or URL of phrases, one per line. Without it `num_phrases` is null."
    )
    ng_variants: tuple[Literal["width", "kana"], ...] = Field(
        default=(), description="Differences that all lists ignore: half and full width, hiragana and katakana."
    )
    groups: tuple[Literal["lines", "compression"], ...] = Field(
        default=(), description="Further groups of features, from other pipelines."
    )

    @property
    def lists(self) -> dict[str, Listing]:
        """The configured lists by key."""
        return {key: listing for key in LISTS if (listing := getattr(self, key))}


LISTS: Final = tuple(key for key, field in Features.model_fields.items() if ReadListing in get_args(field.annotation))
"""The keys of [features] that name a list."""
