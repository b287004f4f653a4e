"""Loads the configuration: a TOML file or the name of a packaged one, what it `extends`, and overrides (`--set`).

Unknown keys and bad values are errors.
"""

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from swallow_spark.config.annotate import LISTS, Features, Sketch
from swallow_spark.config.decide import Rules
from swallow_spark.config.decontaminate import Decontamination
from swallow_spark.config.deduplicate import Dedup
from swallow_spark.config.execution import Execution, Monitoring, Report
from swallow_spark.config.ingest import Ingest
from swallow_spark.config.label import Label
from swallow_spark.config.score import Classifier, ClassifierName
from swallow_spark.config.section import Section
from swallow_spark.config.select import Cleanup, Plan, Selection, Subset, Tokens, plan
from swallow_spark.config.training import Training
from swallow_spark.errors import ConfigError, meant

_SET: Final = "--set "
_LAST_RUN: Final = "the configuration of the last run (--config FILE gives another)"

Origins = dict[tuple[str, ...], str]
"""Where each key was set: the path of a file, or `--set KEY`. A list is one key."""


class Config(Section):
    """The whole configuration."""

    meaningless = frozenset({"execution", "monitoring", "spark"})

    ingest: Ingest = Ingest()
    sketch: Sketch = Sketch()
    features: Features = Features()
    dedup: Dedup = Dedup()
    rules: Rules
    decontamination: Decontamination = Decontamination()
    classifiers: dict[ClassifierName, Classifier] = Field(default={})
    subsets: tuple[Subset, ...] = ()
    selection: Selection = Selection()
    tokens: Tokens = Tokens()
    cleanup: Cleanup = Cleanup()
    label: Label = Label()
    training: Training = Training()
    report: Report = Report()
    execution: Execution = Execution()
    monitoring: Monitoring = Monitoring()
    spark: dict[str, str] = Field(
        default={}, description="Settings of Spark, for sessions that this program opens itself."
    )

    @field_validator("spark")
    @classmethod
    def _settings_of_spark(cls, settings: dict[str, str]) -> dict[str, str]:
        for name in settings:
            if not name.startswith("spark."):
                raise ValueError(f"{name!r}: settings of Spark begin with spark., as in spark.spark.ui.port=0")
        return settings

    @model_validator(mode="after")
    def _rules_can_be_applied(self) -> "Config":
        from swallow_spark.kernels import features

        every, _ = self.rules.extremes()
        for feature in self.rules.bounds:
            group = features.group_of(feature)
            if group not in (None, *self.features.groups):
                every.append(f"rules.bounds.{feature}: not measured: it needs features.groups = ['{group}']")
        if every:
            raise ValueError("; ".join(every))
        return self

    @model_validator(mode="after")
    def _subsets_can_be_made(self) -> "Config":
        planned = self.plan
        if planned.counts("tokens") and not self.tokens.counting:
            raise ValueError("subsets: bands by tokens need a tokenizer: set tokens.file or tokens.encoding")
        if self.selection.thresholds:
            if combined := [name for name, ranking in planned.rankings.items() if ranking.ranks]:
                raise ValueError(f"selection.thresholds: {combined[0]} is made of ranks, which have no thresholds")
            if missing := list(self.selection.missing(planned.parts)):
                raise ValueError(f"selection.thresholds: none for {', '.join(missing)}")
        return self

    @property
    def plan(self) -> Plan:
        """The rankings and subsets that are configured."""
        return plan(self.subsets, self.classifiers)


def selection(config: Config) -> dict[str, Any]:
    """What the subsets depend on besides the scores."""
    return {
        "subsets": [subset.meaning() for subset in config.subsets],
        "thresholds": config.selection.thresholds,
        "tokenizer": config.tokens.tokenizer() if config.plan.counts("tokens") else None,
        "cleanup": config.cleanup.meaning(),
    }


def fingerprint(meaning: Mapping[str, Any], versions: Mapping[str, Any], *upstream: str) -> str:
    """Identifies a stage's result by its configuration, its kernels' versions and the stages before it."""
    canonical = json.dumps([meaning, versions, upstream], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def packaged_directory() -> Path:
    """Directory of the packaged configurations: in an installed package, or beside it in a source tree."""
    package = Path(str(resources.files("swallow_spark")))
    return next(directory for directory in (package / "conf", package.parent / "conf") if directory.is_dir())


def demo_pages() -> Path:
    """Directory of the demonstration's WARCs, in an installed package or in a source tree."""
    return packaged_directory().parent / "demo" / "pages"


def packaged_names() -> list[str]:
    return sorted(path.stem for path in packaged_directory().glob("*.toml"))


def load(
    source: str | Path | Mapping[str, Any], overrides: Sequence[str] = (), fetch: Callable[[str], bytes] | None = None
) -> Config:
    """A configuration with `section.key=value` overrides. source: a file, the name of a packaged configuration, or what
    `remembered` gives.

    `fetch` reads lists that are named by a URL; without it URLs are refused. Raises ConfigError with the file or the
    override that the value is from, the key and what is allowed, in one line; and what `fetch` raises.
    """
    is_remembered = isinstance(source, Mapping)
    if isinstance(source, Mapping):
        path, values, origins = _LAST_RUN, dict(source), Origins()
    else:
        path = str(_find(source, relative_to=None))
        values, origins = _read(Path(path))
    for override in overrides:
        key = _override(values, override)
        _set(origins, key, f"{_SET}{'.'.join(key)}")  # without its value, which may be a secret
    try:
        context = {"directory": Path.cwd(), "fetch": fetch, "is_remembered": is_remembered}
        return Config.model_validate(values, context=context)
    except ValidationError as error:
        raise ConfigError(_told(error.errors(), origins, path)) from None


def remembered(run: Mapping[str, Any], corpus: str) -> dict[str, Any]:
    """The values of the configuration in the record of an earlier run, for the corpus's present location.

    The corpus, or this program, may have been moved since. So a file that is gone is looked for at the same place
    relative to the corpus, then among the packaged files. A model that is nowhere, or at a URL, is known by its sha256.
    """
    values: dict[str, Any] = run["config"]
    _change_paths(values, partial(_found_again, before=run.get("corpus"), now=corpus))
    for name, sha256 in run.get("models", {}).items():
        model = values["classifiers"][name]
        if sha256 and not Path(model["path"]).is_file():
            model["sha256"] = sha256
    return values


def pinned(config: Config, run: Mapping[str, Any]) -> Config:
    """The configuration, with the sha256 of models at URLs that has none from the record of an earlier run that used
    the same URLs."""
    known = {run["config"]["classifiers"][name]["path"]: sha256 for name, sha256 in run.get("models", {}).items()}
    return with_sums(config, {name: known.get(one.path) for name, one in unpinned(config).items()})


def unpinned(config: Config) -> dict[str, Classifier]:
    """The classifiers whose models are at URLs, and of unknown sha256."""
    return {name: one for name, one in config.classifiers.items() if not one.content}


def with_sums(config: Config, sums: Mapping[str, str | None]) -> Config:
    """The configuration, with these sha256 of classifiers' models; None leaves one as it is."""
    old = config.classifiers
    changed = {name: old[name].model_copy(update={"sha256": found}) for name, found in sums.items() if found}
    return config.model_copy(update={"classifiers": {**old, **changed}}) if changed else config


def _found_again(name: str, before: str | None, now: str) -> str:
    places = [name]
    if before and "://" not in before and "://" not in now:
        places.append(os.path.normpath(os.path.join(now, os.path.relpath(name, before))))
    _, is_packaged, tail = name.rpartition("/conf/")
    if is_packaged:
        places.append(str(packaged_directory() / tail))
    return next(filter(os.path.exists, places), name)


def _find(name_or_path: str | Path, relative_to: Path | None) -> Path:
    name = str(name_or_path)
    candidates = [Path(name), packaged_directory() / f"{name}.toml"]
    if relative_to:
        candidates.insert(0, relative_to / name)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    known = packaged_names()
    raise ConfigError(
        f"{name}: no such configuration file, and not a packaged one ({', '.join(known)}){meant(name, known)}"
    )


def _read(path: Path, extended_by: tuple[Path, ...] = ()) -> tuple[dict[str, Any], Origins]:
    """The file's values merged into those of the file that it extends, and where each is from. Paths become
    absolute."""
    if path.resolve() in extended_by:
        raise ConfigError(f"{path}: extends itself through {extended_by[-1]}")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    directory = path.resolve().parent
    _change_paths(values, lambda name: str(directory / name))
    base = values.pop("extends", None)
    extended, origins = _read(_find(base, path.parent), (*extended_by, path.resolve())) if base else ({}, Origins())
    for key in _leaves(values):
        _set(origins, key, str(path))
    return _merge(extended, values), origins


def _leaves(values: Mapping[str, Any], *above: str) -> Iterator[tuple[str, ...]]:
    """The keys of a configuration whose values are not tables, or empty."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, *above, key)
        else:
            yield (*above, key)


def _set(origins: Origins, key: tuple[str, ...], where: str) -> None:
    """Notes where a key was set, which replaces whatever was below it."""
    for old in [old for old in origins if old[: len(key)] == key]:
        del origins[old]
    origins[key] = where


def _origin(origins: Origins, location: tuple[str, ...], default: str) -> str:
    """Where the value at a location is from: where it or a table around it was set, else what was set last beside
    it."""
    for length in range(len(location), 0, -1):
        if found := [where for key, where in origins.items() if key[:length] == location[:length]]:
            return origins.get(location[:length], found[-1])
    return default


def _change_paths(values: dict[str, Any], change: Callable[[str], str]) -> None:
    """Changes all paths in a configuration's values."""

    def changed(name: Any) -> Any:
        return change(name) if isinstance(name, str) and "://" not in name else name

    def resolve(part: Any, *keys: str) -> None:
        for key in keys if isinstance(part, dict) else ():
            if (found := part.get(key)) is not None:
                part[key] = [changed(name) for name in found] if isinstance(found, list) else changed(found)

    rules = values.get("rules")
    resolve(values.get("features"), *LISTS)
    resolve(values.get("label"), "prompt")
    resolve(values.get("tokens"), "file")
    resolve(values.get("decontamination"), "against")
    resolve(rules, "host_lists", "url_lists")
    for blocklist in (rules.get("blocklists") or ()) if isinstance(rules, dict) else ():
        resolve(blocklist, "directory")
    for classifier in (values.get("classifiers") or {}).values():
        resolve(classifier, "path")


def _merge(base: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in values.items():
        old = base.get(key)
        base[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return base


def _override(values: dict[str, Any], override: str) -> tuple[str, ...]:
    """Sets the value of an override; returns its key."""
    key, equals, text = override.partition("=")
    section, _, setting = key.strip().partition(".")
    if section == "spark" and setting and equals:  # a setting of Spark has dots in its name, and is a string
        values.setdefault("spark", {})[setting] = text.strip()
        return section, setting
    *sections, last = [part.strip() for part in key.split(".")]
    if not equals or not all((*sections, last)):
        raise ConfigError(f"--set {override}: write it as section.key=value")
    for section in sections:
        if values.get(section) in (None, False):  # a section that is off is switched on
            values[section] = {}
        values = values[section]
        if not isinstance(values, dict):
            raise ConfigError(f"--set {override}: {section} is not a section")
    try:
        values[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[last] = text.strip()  # a bare word is a string
    return (*sections, last)


_OF_A_KEY: Final = "[key]"  # what pydantic adds to the location of a key that is itself at fault


def _told(problems: Sequence[Any], origins: Origins, default: str) -> str:
    """What is wrong, behind where it is from."""
    told: dict[str, list[str]] = {}
    keys = [problem["loc"][:-1] for problem in problems if problem["loc"][-1:] == (_OF_A_KEY,)]
    for problem in problems:
        location = problem["loc"]
        if location[-1:] == (_OF_A_KEY,):
            location = location[:-1]
        elif any(location[: len(key)] == key for key in keys):  # the value of a key that doesn't exist
            continue
        text = _explain(problem, location)
        named = tuple(map(str, location)) or tuple(text.partition(": ")[0].split("."))
        told.setdefault(_origin(origins, named, default), []).append(text)
    return "; ".join(_behind(where, "; ".join(texts)) for where, texts in told.items())


def _behind(where: str, text: str) -> str:
    key = where.removeprefix(_SET)
    return f"{_SET}{text}" if key != where and text.startswith(key) else f"{where}: {text}"


def _explain(problem: Any, location: Sequence[Any]) -> str:
    key = ".".join(str(part) for part in location)
    shown = problem.get("input")
    if problem["type"] == "extra_forbidden":
        allowed = _keys_at(location[:-1])
        return f"{key}: unknown key{meant(str(location[-1]), allowed)} (allowed: {', '.join(allowed)})"
    if problem["type"] in ("model_type", "model_attributes_type"):
        off = ", or false to turn the rule off" if location[:2] == ("rules", "bounds") else ""
        return f"{key}: must be a table with keys (allowed: {', '.join(_keys_at(location))}){off}, not {shown!r}"
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:] if message.startswith("Input") else message
    if problem["type"] == "literal_error":
        message += meant(str(shown), re.findall(r"'([^']+)'", problem["ctx"]["expected"]))
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
