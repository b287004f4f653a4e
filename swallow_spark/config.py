"""Typed configuration: one frozen section per stage, read from TOML. Unknown keys and bad values are errors.

A configuration is a file or the name of a packaged one (`demo`, `swallow-v1`, `swallow-v2`); `extends = "NAME"` takes
another one as its base. `--set section.key=value` overrides single entries.
"""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from swallow_spark.errors import ConfigError

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def _existing_file(path: Path, info: ValidationInfo) -> Path:
    """Relative paths are relative to the file that names them; a file that isn't there is an error."""
    if info.context and not path.is_absolute():
        path = info.context["directory"] / path
    if not path.is_file():
        raise ValueError(f"no such file: {path}")
    return path


ExistingFile = Annotated[Path, AfterValidator(_existing_file)]


class Section(BaseModel):
    """A part of the configuration. `execution_keys` change how fast a stage runs, never its result: they stay out of
    the fingerprint."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)
    execution_keys: frozenset[str] = Field(default=frozenset(), exclude=True, init=False, repr=False)

    def meaning(self) -> dict[str, Any]:
        """What decides this stage's result, as plain JSON values. Files count by their content."""
        return {
            key: _by_content(value)
            for key, value in self.model_dump().items()
            if key not in type(self).model_fields["execution_keys"].default
        }


def _by_content(value: Any) -> Any:
    if isinstance(value, Path):
        return {"file": value.name, "sha256": hashlib.sha256(value.read_bytes()).hexdigest()}
    if isinstance(value, Mapping):
        return {key: _by_content(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_by_content(entry) for entry in value]
    return str(value) if isinstance(value, Decimal) else value
