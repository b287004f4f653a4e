"""The files of classifiers' models; a URL is fetched once for this machine."""

import hashlib
from pathlib import Path
from typing import Final

from swallow_spark.addresses import shown
from swallow_spark.config.score import Classifier
from swallow_spark.config.section import sha256_of
from swallow_spark.errors import InputError, is_shortage
from swallow_spark.files.http import HttpClient
from swallow_spark.files.storage import machine_cache, open_input, replacing

_CHUNK_BYTES: Final = 1 << 20
_MAX_BYTES: Final = 16 << 30
"""An endless response would fill the disk. The largest models that fastText's authors publish have 7 GB."""


def model_file(classifier: Classifier, web: HttpClient | None = None) -> Path:
    """The model as a local file. A URL's is cached for the machine under its sha256, which is checked at each use.
    Raises InputError if it can't be fetched, or has another sha256."""
    if isinstance(classifier.path, Path):
        if not classifier.path.is_file():
            raise InputError(
                f"{classifier.path}: no such file: the configuration of the corpus's last run names it; give --config "
                "FILE, or --set classifiers.NAME.path=FILE, with its place now"
            )
        return classifier.path
    target = machine_cache() / "models" / classifier.content
    if target.is_file() and sha256_of(target) == classifier.content:
        return target
    found, size = hashlib.sha256(), 0
    with replacing(target) as fresh:
        try:
            with open_input(classifier.path, web=web) as stream, fresh.open("wb") as copy:
                while chunk := stream.read(_CHUNK_BYTES):
                    found.update(chunk)
                    size += copy.write(chunk)
                    if size > _MAX_BYTES:
                        raise InputError(f"{shown(classifier.path)}: more than {_MAX_BYTES >> 30} GiB: no model")
        except OSError as error:
            if is_shortage(error):
                raise
            raise InputError(f"{shown(classifier.path)}: can't be copied to {fresh}: {error}") from None
        if found.hexdigest() != classifier.content:
            raise InputError(
                f"{shown(classifier.path)}: not the configured model: {size} bytes with sha256 {found.hexdigest()}, "
                f"not {classifier.content}"
            )
    return target
