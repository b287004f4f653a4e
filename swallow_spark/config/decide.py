"""[rules]: which pages a preset rejects."""

import re
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from swallow_spark.config.section import ExistingDirectory, ExistingFile, Name, Section, sha256_of
from swallow_spark.errors import meant

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


def _known_feature(name: str) -> str:
    from swallow_spark.kernels import features  # here, and below: Numba takes half a second to load

    known = features.SCHEMA.names
    if name not in known:
        raise ValueError(f"no such feature{meant(name, known)} (there are: {', '.join(known)})")
    return name


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

    def extremes(self, feature: str) -> tuple[list[str], list[str]]:
        """The limits that reject every page, and those that reject none, given the values that the feature can have."""
        from swallow_spark.kernels import features

        lowest, highest = features.range_of(feature)
        lower = -inf if self.min is None else self.min
        every, none = list[str](), list[str]()
        span = f"is never below {lowest:g}" if highest == inf else f"is always from {lowest:g} to {highest:g}"
        if lower > highest:
            every.append(f"{feature}.min: {lower:g} rejects every page: {feature} {span}")
        elif self.min is not None and lower <= lowest:
            none.append(f"{feature}.min: {lower:g} rejects no page: {feature} {span}")
        for key, upper, rejects_equal in (("max", self.max, False), ("below", self.below, True)):
            if upper is None:
                continue
            if upper < lowest or (rejects_equal and upper <= lowest):
                every.append(f"{feature}.{key}: {upper:g} rejects every page: {feature} {span}")
            elif upper > highest or (not rejects_equal and upper == highest):
                none.append(f"{feature}.{key}: {upper:g} rejects no page: {feature} {span}")
            elif lower > upper or (rejects_equal and lower == upper):
                every.append(f"{feature}.{key}: {upper:g} with min {lower:g} rejects every page")
        return every, none

    def reasons(self, feature: str, value: float | None) -> list[str]:
        """Reasons to reject a page with this value of the feature; none if it was not measured."""
        if value is None:
            return []
        low = self.min is not None and value < self.min
        high = (self.max is not None and value > self.max) or (self.below is not None and value >= self.below)
        return [f"{feature}:low"] * low + [f"{feature}:high"] * high


FeatureName = Annotated[str, AfterValidator(_known_feature)]


class Rules(Section):
    """A preset of rules over features, hosts and URLs."""

    preset: Name = Field(description="Name of this set of rules; verdicts are stored under it.")
    bounds: dict[FeatureName, Bound] = Field(default={}, description="Feature -> its bounds. `false` turns a rule off.")
    hosts: tuple[str, ...] = Field(
        default=(), description="Domains. A page on one of them, or on a subdomain, is rejected."
    )
    host_lists: tuple[ExistingFile, ...] = Field(default=(), description="Files of domains, one per line.")
    url_prefixes: tuple[str, ...] = Field(default=(), description="A page whose URL begins with one is rejected.")
    url_lists: tuple[ExistingFile, ...] = Field(default=(), description="Files of URL prefixes, one per line.")
    blocklists: tuple[Blocklist, ...] = Field(default=(), description="Directories of blocklists.")

    def extremes(self) -> tuple[list[str], list[str]]:
        """The limits that reject every page, and those that reject none: they begin with their key."""
        found = [bound.extremes(feature) for feature, bound in self.bounds.items()]
        every, none = ([f"rules.bounds.{one}" for each in found for one in each[which]] for which in (0, 1))
        return every, none

    def meaning(self) -> dict[str, Any]:
        """Bounds are a list here, since their order is that of a verdict's reasons."""
        return {**super().meaning(), "bounds": [[feature, bound.meaning()] for feature, bound in self.bounds.items()]}

    @field_validator("bounds", mode="before")
    @classmethod
    def _without_those_turned_off(cls, bounds: Any) -> Any:
        if isinstance(bounds, Mapping):
            from swallow_spark.kernels import features

            known = features.SCHEMA.names  # a misspelt one stays, and is refused
            return {feature: bound for feature, bound in bounds.items() if bound is not False or feature not in known}
        return bounds

    @field_validator("hosts")
    @classmethod
    def _only_domains(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not re.fullmatch(r"(\*?\.)?[^\s/:*?#@]+", host):
                raise ValueError(f"{host!r} is no domain: write it as 5ch.net, which includes its subdomains")
        return hosts

    @field_validator("url_prefixes")
    @classmethod
    def _only_prefixes(cls, prefixes: tuple[str, ...]) -> tuple[str, ...]:
        for prefix in prefixes:
            if not re.fullmatch(r"[^\s*]+", prefix):
                raise ValueError(f"{prefix!r} begins no URL: write it as example.jp/blog, without blanks and wildcards")
        return prefixes
