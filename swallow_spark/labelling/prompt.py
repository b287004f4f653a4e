"""The prompt: a template file, versioned by its content."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swallow_spark.config.load import packaged_directory
from swallow_spark.errors import ConfigError

PACKAGED: Final = "edu-1.txt"
PLACE: Final = "{text}"


@dataclass(frozen=True)
class Prompt:
    """`version` is the file's name and the first digits of its SHA-256."""

    version: str
    template: str

    def about(self, text: str) -> str:
        return self.template.replace(PLACE, text)


def read_prompt(path: Path | None) -> Prompt:
    """The template in a file (None: the packaged one). Raises ConfigError if it can't be used."""
    path = path or packaged_directory() / "prompts" / PACKAGED
    try:
        content = path.read_bytes()
        template = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"label.prompt: {path}: {error}") from None
    if template.count(PLACE) != 1:
        raise ConfigError(f"label.prompt: {path}: must contain {PLACE} once, not {template.count(PLACE)} times")
    return Prompt(f"{path.stem}-{hashlib.sha256(content).hexdigest()[:12]}", template)
