"""Base class and field types of the configuration's sections."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, NamedTuple, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    field_validator,
)

from swallow_spark.addresses import masked


def absolute(path: Path, info: ValidationInfo) -> Path:
    """Relative paths are relative to the file that names them."""
    return info.context["directory"] / path if info.context else path


def existing_file(path: Path, info: ValidationInfo) -> Path:
    path = absolute(path, info)
    if not path.is_file():
        raise ValueError(f"no such file: {path}")
    return path


def _existing_directory(path: Path, info: ValidationInfo) -> Path:
    path = absolute(path, info)
    if not path.is_dir():
        raise ValueError(f"no such directory: {path}")
    return path


ExistingFile = Annotated[Path, AfterValidator(existing_file)]
ExistingDirectory = Annotated[Path, AfterValidator(_existing_directory)]


NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Share = Annotated[float, Field(ge=0, le=1)]


class Listing(NamedTuple):
    """A list that the user names by a path or URL. It is read with the configuration, and checked and used as read."""

    location: str
    content: bytes


def public_address(url: str) -> str:
    """Raises ValueError for an address with a user, a password or a signature."""
    if masked(url) != url:
        raise ValueError(f"{masked(url)}: an address that gives access is not allowed here: manifests would store it")
    return url


def _listing(value: Any, info: ValidationInfo) -> Listing:
    if isinstance(value, Listing):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a path or URL")
    if "://" in value:
        fetch = info.context and info.context["fetch"]
        if not fetch:
            raise ValueError(f"{value}: must be a file, not a URL")
        public_address(value)
        return Listing(value, fetch(value))
    path = absolute(Path(value), info)
    try:
        return Listing(str(path), path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None


ReadListing = Annotated[Listing, PlainValidator(_listing), PlainSerializer(lambda listing: listing.location)]


class Section(BaseModel):
    """A section of the configuration."""

    # Defaults are validated too: 30 and 30.0 must be the same in a fingerprint.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    meaningless: ClassVar[frozenset[str]] = frozenset()
    """Keys that change no row."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool):
            annotation = cls.model_fields[info.field_name or ""].annotation
            if {annotation, *get_args(annotation)} & {int, float}:
                raise ValueError(f"must be a number, not {str(value).lower()}")
        return value

    def meaning(self) -> dict[str, Any]:
        """The section as plain JSON values. Files are hashed, so moving one changes nothing."""
        return {key: _by_content(getattr(self, key)) for key in type(self).model_fields if key not in self.meaningless}


def _by_content(value: Any) -> Any:
    if isinstance(value, Section):
        return value.meaning()
    if isinstance(value, Listing):
        return {"sha256": hashlib.sha256(value.content).hexdigest()}
    if isinstance(value, Path):
        return {"sha256": sha256_of(value)}
    if isinstance(value, Mapping):
        return {key: _by_content(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_by_content(entry) for entry in value]
    return value


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, computed again only if size or modification time have changed."""
    found = path.stat()
    return _sha256(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=1024)
def _sha256(path: Path, _modified: int, _size: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
