"""[rules]: which pages a preset rejects."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from swallow_spark.config.section import ExistingDirectory, ExistingFile, Name, Section, sha256_of

# The categories of the UT1 blocklists whose hosts Swallow's code rejects.
# fmt: off
SWALLOW_CATEGORIES: Final = (
    "adult", "agressif", "bitcoin", "celebrity", "chat", "cryptojacking", "dating", "ddos", "doh", "filehosting",
    "financial", "gambling", "games", "malware", "manga", "mixed_adult", "phishing", "publicite", "redirector",
    "remote-control", "shopping", "social_networks", "strict_redirector", "strong_redirector", "vpn", "warez",
    "webmail",
)
# fmt: on


class Blocklist(Section):
    """A directory of blocklists as UT1 publishes them: CATEGORY/domains and CATEGORY/urls."""

    directory: ExistingDirectory = Field(description="Directory with a subdirectory for each category.")
    categories: Literal["swallow"] | tuple[str, ...] = Field(
        min_length=1, description="Names of subdirectories. `swallow`: the 27 categories that Swallow's code rejects."
    )

    def files(self, name: Literal["domains", "urls"]) -> dict[str, Path]:
        """category -> its file of that name, if it has one."""
        chosen = SWALLOW_CATEGORIES if self.categories == "swallow" else self.categories
        found = {category: self.directory / category / name for category in chosen}
        return {category: path for category, path in found.items() if path.is_file()}

    @model_validator(mode="after")
    def _present(self) -> "Blocklist":
        there = {*self.files("domains"), *self.files("urls")}
        missing = () if self.categories == "swallow" else sorted(set(self.categories) - there)
        if missing or not there:
            what = ", ".join(missing) or "any category of Swallow's"
            raise ValueError(f"{self.directory}: no file `domains` or `urls` of {what}")
        return self

    def meaning(self) -> dict[str, Any]:
        names: tuple[Literal["domains", "urls"], ...] = ("domains", "urls")
        return {name: {category: sha256_of(path) for category, path in self.files(name).items()} for name in names}


class Bound(Section):
    """A rule: a page whose feature is out of bounds is rejected, with the reason `FEATURE:low` or `FEATURE:high`."""

    meaningless = frozenset({"source"})

    min: float | None = Field(default=None, description="A page is rejected if the feature is below.")
    max: float | None = Field(default=None, description="A page is rejected if the feature is above.")
    below: float | None = Field(default=None, description="A page is rejected if the feature is equal or above.")
    source: str = Field(description="Where the bound comes from: a paper, code, an experiment.")

    @model_validator(mode="after")
    def _one_bound(self) -> "Bound":
        if self.min is None and self.max is None and self.below is None:
            raise ValueError("a rule needs one of min, max, below (`false` instead of a table turns it off)")
        if self.max is not None and self.below is not None:
            raise ValueError("a rule has either max or below")
        return self

    def reasons(self, feature: str, value: float | None) -> list[str]:
        """Reasons to reject a page with this value of the feature; none if it was not measured."""
        if value is None:
            return []
        low = self.min is not None and value < self.min
        high = (self.max is not None and value > self.max) or (self.below is not None and value >= self.below)
        return [f"{feature}:low"] * low + [f"{feature}:high"] * high


class Rules(Section):
    """A preset of rules over features, hosts and URLs."""

    preset: Name = Field(description="Name of this set of rules; verdicts are stored under it.")
    bounds: dict[str, Bound] = Field(default={}, description="Feature -> its bounds. `false` turns a rule off.")
    hosts: tuple[str, ...] = Field(
        default=(), description="Domains. A page on one of them, or on a subdomain, is rejected."
    )
    host_lists: tuple[ExistingFile, ...] = Field(default=(), description="Files of domains, one per line.")
    url_prefixes: tuple[str, ...] = Field(default=(), description="A page whose URL begins with one is rejected.")
    url_lists: tuple[ExistingFile, ...] = Field(default=(), description="Files of URL prefixes, one per line.")
    blocklists: tuple[Blocklist, ...] = Field(default=(), description="Directories of blocklists.")

    def meaning(self) -> dict[str, Any]:
        """Bounds are a list here, since their order is that of a verdict's reasons."""
        return {**super().meaning(), "bounds": [[feature, bound.meaning()] for feature, bound in self.bounds.items()]}

    @field_validator("bounds", mode="before")
    @classmethod
    def _without_those_turned_off(cls, bounds: Any) -> Any:
        if isinstance(bounds, Mapping):
            return {feature: bound for feature, bound in bounds.items() if bound is not False}
        return bounds
