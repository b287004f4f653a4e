"""Typed configuration: one frozen section per stage, read from TOML. Unknown keys and bad values are errors.

A configuration is a file or the name of a packaged one (`demo`, `swallow-v1`, `swallow-v2`); `extends = "NAME"` takes
another one as its base. `--set section.key=value` overrides single entries.
"""

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from swallow_spark.errors import ConfigError
from swallow_spark.section import Blocklist, ExistingFile, ReadListing, Section, sha256_of

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
# A classifier's name becomes part of a column's, where a dot would stand for a field of a struct.
ClassifierName = Annotated[str, Field(pattern=NAME_PATTERN.replace(".", ""))]
Share = Annotated[float, Field(ge=0, le=1)]


class Ingest(Section):
    """WARC records to pages."""

    max_record_bytes: int = Field(default=64 << 20, ge=1 << 10, description="of a WARC record as framed, inflated")
    max_inflated_bytes: int = Field(default=64 << 20, ge=1 << 10, description="of a page after removing HTTP encodings")
    max_inflated_ratio: int = Field(default=200, ge=2, description="of these to those stored, from a mebibyte on")
    max_html_bytes: int = Field(default=16 << 20, ge=1 << 10, description="of HTML parsed")
    max_tags: int = Field(default=500_000, ge=1, description="of a page")
    max_depth: int = Field(default=50_000, ge=1, description="of elements in each other")
    max_seconds_per_page: float = Field(default=30, ge=0.1, description="elapsed while a page is parsed")
    max_replaced_fraction: Share = Field(default=0.05, description="U+FFFD in a decoded page, above it a failure")


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
    ng_variants: tuple[Literal["width", "kana"], ...] = Field(
        default=(), description="differences that don't matter: half and full width, hiragana and katakana"
    )


class Dedup(Section):
    """Which of the pages that share a bucket is kept."""

    policy: Literal["bucket", "greedy", "component"] = "bucket"
    prefer: Literal["oldest", "newest", "longest"] = "oldest"
    min_similarity: Share | None = Field(default=None, description="of page and witness, estimated; none: not asked")


class Bound(Section):
    """A rule: a page whose feature lies outside is rejected, with the reason `FEATURE:low` or `FEATURE:high`."""

    meaningless = frozenset({"source"})

    min: float | None = Field(default=None, description="rejected if below")
    max: float | None = Field(default=None, description="rejected if above")
    below: float | None = Field(default=None, description="rejected if equal or above")
    source: str

    @model_validator(mode="after")
    def _one_bound(self) -> "Bound":
        if self.min is None and self.max is None and self.below is None:
            raise ValueError("a rule needs one of min, max, below (or `false` in its place, to turn it off)")
        if self.max is not None and self.below is not None:
            raise ValueError("a rule has either max or below")
        return self

    def reasons(self, feature: str, value: float | None) -> list[str]:
        """Why a page with this value of the feature is rejected; a value that was not measured is no reason."""
        if value is None:
            return []
        low = self.min is not None and value < self.min
        high = (self.max is not None and value > self.max) or (self.below is not None and value >= self.below)
        return [f"{feature}:low"] * low + [f"{feature}:high"] * high


class Rules(Section):
    """A preset of rules over features, hosts and URLs."""

    preset: Name
    bounds: dict[str, Bound] = Field(default={}, description="feature -> its bounds; `false` turns a rule off")
    hosts: tuple[str, ...] = Field(default=(), description="domains; a page of one of them, or below it, is rejected")
    host_lists: tuple[ExistingFile, ...] = Field(default=(), description="files of domains, one a line")
    url_prefixes: tuple[str, ...] = Field(default=(), description="a page whose URL begins so is rejected")
    url_lists: tuple[ExistingFile, ...] = Field(default=(), description="files of URL prefixes, one a line")
    blocklists: tuple[Blocklist, ...] = ()

    def meaning(self) -> dict[str, Any]:
        """The bounds are a list here: their order is that of a verdict's reasons."""
        return {**super().meaning(), "bounds": [[feature, bound.meaning()] for feature, bound in self.bounds.items()]}

    @field_validator("bounds", mode="before")
    @classmethod
    def _without_those_turned_off(cls, bounds: Any) -> Any:
        if isinstance(bounds, Mapping):
            return {feature: bound for feature, bound in bounds.items() if bound is not False}
        return bounds


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


class Band(NamedTuple):
    """The documents between two shares from the top: above `start`, down to and with `end`; exact decimals."""

    name: str
    start: Fraction
    end: Fraction


def parse_band(name: str) -> Band:
    """`top10` is the best 10 %; `top10-30` what follows, down to 30 %. Raises ValueError for anything else."""
    match = re.fullmatch(r"top(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", name, re.ASCII)
    if match:
        cuts = [Fraction(Decimal(cut)) / 100 for cut in match.groups() if cut is not None]
        start, end = cuts if len(cuts) == 2 else (Fraction(0), cuts[0])
        if start < end <= 1:
            return Band(name, start, end)
    raise ValueError(f"{name!r} is no band: write top10 (the best 10 %) or top10-30 (the 20 % behind them)")


def _bands(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        parse_band(name)
    return names


class Subset(Section):
    """Top-k% bands of the accepted survivors by one classifier; each becomes the subset `CLASSIFIER-BAND`."""

    classifier: Name
    bands: Annotated[tuple[str, ...], AfterValidator(_bands)] = ("top10", "top10-30")


class Cleanup(Section):
    """What is done to texts when subsets are written: Japanese commas and full stops, footers trimmed."""

    mode: Literal["careful", "swallow", "off"] = Field(
        default="careful", description="swallow: as the original; careful: never the first line nor more than half"
    )


class Report(Section):
    """The report's samples."""

    sample_pages: int = Field(default=12, ge=0, le=200)
    seed: int = 1


class Execution(Section):
    """How the work is cut up. Nothing here changes a row of the result, so nothing here enters a fingerprint."""

    files_per_batch: int = Field(default=2048, ge=1, description="input files committed together")
    files_per_task: int = Field(default=32, ge=1, description="input files that one task reads, at most")
    min_bytes_per_range: int = Field(
        default=64 << 20, ge=1, description="of a file that several tasks share, where there are fewer files than cores"
    )
    batches_in_flight: int = Field(default=2, ge=1, le=16)
    shuffle_partitions: int | None = Field(default=None, ge=1, description="of dedup; none: by the number of rows")
    bands_per_pass: int = Field(default=10, ge=1, description="bands of dedup that are shuffled together")


class Config(Section):
    """The whole configuration."""

    ingest: Ingest = Ingest()
    sketch: Sketch = Sketch()
    features: Features = Features()
    dedup: Dedup = Dedup()
    rules: Rules
    classifiers: dict[ClassifierName, Classifier] = Field(default={})
    subsets: tuple[Subset, ...] = ()
    cleanup: Cleanup = Cleanup()
    report: Report = Report()
    execution: Execution = Execution()
    spark: dict[str, str] = Field(default={}, description="settings of the Spark session, where this program opens it")

    @field_validator("spark")
    @classmethod
    def _settings_of_spark(cls, settings: dict[str, str]) -> dict[str, str]:
        for name in settings:
            if not name.startswith("spark."):
                raise ValueError(
                    f"{name!r} is no setting of Spark: they begin with spark., as in spark.spark.ui.port=0"
                )
        return settings

    @model_validator(mode="after")
    def _subsets_have_classifiers(self) -> "Config":
        for subset in self.subsets:
            if subset.classifier not in self.classifiers:
                known = ", ".join(self.classifiers) or "none"
                raise ValueError(f"subsets: no classifier {subset.classifier!r} is configured (there is: {known})")
        return self


def selection(config: Config) -> dict[str, Any]:
    """What the subsets depend on beside the scores."""
    return {"subsets": [subset.meaning() for subset in config.subsets], "cleanup": config.cleanup.meaning()}


def fingerprint(meaning: Mapping[str, Any], versions: Mapping[str, Any], *upstream: str) -> str:
    """Identifies what a stage computes: its configuration, its kernels' versions, the stages before it."""
    canonical = json.dumps([meaning, versions, upstream], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def packaged_directory() -> Path:
    """Where the packaged configurations are: in an installed package, or beside it in a source tree."""
    package = Path(str(resources.files("swallow_spark")))
    return next(directory for directory in (package / "conf", package.parent / "conf") if directory.is_dir())


def packaged_names() -> list[str]:
    return sorted(path.stem for path in packaged_directory().glob("*.toml"))


def load(
    source: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    fetch: Callable[[str], bytes] | None = None,
) -> Config:
    """The configuration in a file, the packaged one of that name, or that of an earlier run, with
    `section.key=value` overrides.

    `fetch` gets the content of a URL where a list is named by one; without it URLs are refused. Raises ConfigError: in
    one line the key, the file, and what is allowed; and what `fetch` raises.
    """
    if isinstance(source, Mapping):
        path, values = Path("the last run's configuration"), dict(source)
    else:
        path = _find(source, relative_to=None)
        values = _read(path)
    for override in overrides:
        _override(values, override)
    try:
        return Config.model_validate(values, context={"directory": Path.cwd(), "fetch": fetch})
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(_explain(problem) for problem in error.errors())}") from None


def _find(name_or_path: str | Path, relative_to: Path | None) -> Path:
    name = str(name_or_path)
    candidates = [Path(name), packaged_directory() / f"{name}.toml"]
    if relative_to:
        candidates.insert(0, relative_to / name)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ConfigError(f"{name}: no such configuration file, nor a packaged one ({', '.join(packaged_names())})")


def _read(path: Path, extended_by: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The file's values upon those of the file that it extends. Paths become absolute, being relative to their file."""
    if path.resolve() in extended_by:
        raise ConfigError(f"{path}: extends itself, by way of {extended_by[-1]}")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    _resolve_paths(values, path.resolve().parent)
    base = values.pop("extends", None)
    return _merge(_read(_find(base, path.parent), (*extended_by, path.resolve())), values) if base else values


def _resolve_paths(values: dict[str, Any], directory: Path) -> None:
    def absolute(name: Any) -> Any:
        return str(directory / name) if isinstance(name, str) and "://" not in name else name

    def entry(part: Any, key: str) -> Any:
        return part.get(key) if isinstance(part, dict) else None

    parts: list[tuple[Any, str]] = [(values.get("features"), "ng_words")]
    parts += [(values.get("rules"), key) for key in ("host_lists", "url_lists")]
    parts += [(blocklist, "directory") for blocklist in entry(values.get("rules"), "blocklists") or ()]
    parts += [(classifier, "path") for classifier in (values.get("classifiers") or {}).values()]
    for part, key in parts:
        found = entry(part, key)
        if found is not None:
            part[key] = [absolute(name) for name in found] if isinstance(found, list) else absolute(found)


def _merge(base: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in values.items():
        old = base.get(key)
        base[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return base


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    section, _, setting = key.strip().partition(".")
    if section == "spark" and setting and equals:  # a setting of Spark has dots in its name, and is a string
        values.setdefault("spark", {})[setting] = text.strip()
        return
    *sections, last = [part.strip() for part in key.split(".")]
    if not equals or not all((*sections, last)):
        raise ConfigError(f"--set {override}: write it as section.key=value")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {override}: {section} is no section")
    try:
        values[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[last] = text.strip()  # a bare word is a string


def _explain(problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        allowed = _keys_at(problem["loc"][:-1])
        close = difflib.get_close_matches(str(problem["loc"][-1]), allowed, n=1)
        hint = f", did you mean {close[0]}?" if close else ""
        return f"{key}: unknown key{hint} (allowed: {', '.join(allowed)})"
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:] if message.startswith("Input") else message
    shown = problem.get("input")
    found = f" (it is {shown!r})" if isinstance(shown, str | int | float) and message.startswith("input") else ""
    return f"{key}: {message}{found}" if key else message


def _keys_at(location: Sequence[Any]) -> list[str]:
    """The keys that are allowed at a place in the configuration."""
    section: Any = Config
    for part in location:
        if isinstance(section, type) and issubclass(section, BaseModel) and part in section.model_fields:
            annotation = section.model_fields[part].annotation
            section = _section_in(annotation)
    return list(section.model_fields) if section else []


def _section_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if found := _section_in(argument):
            return found
    return None
