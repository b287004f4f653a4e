"""The files of classifiers' models; a URL is fetched once for this machine."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import uuid4

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
    """The model as a local file. A URL's is cached for the machine under its sha256, which is checked at each use; if
    the configuration has none, it is fetched.
    Raises InputError if it can't be fetched, or has another sha256."""
    if isinstance(classifier.path, Path):
        if not classifier.path.is_file():
            raise InputError(
                f"{classifier.path}: no such file: the configuration of the corpus's last run names it; give --config "
                "FILE, or --set classifiers.NAME.path=FILE, with its place now"
            )
        return classifier.path
    target = _directory() / classifier.content
    if classifier.content and target.is_file() and sha256_of(target) == classifier.content:
        return target
    return fetch_model(classifier.path, classifier.content, web)


def model_here(classifier: Classifier) -> Path | None:
    """The model's file, if it is on this machine already."""
    if isinstance(classifier.path, Path):
        return classifier.path if classifier.path.is_file() else None
    cached = _directory() / classifier.content
    return cached if cached.is_file() else None


def fetch_model(
    url: str, sha256: str = "", web: HttpClient | None = None, tell: Callable[[int], None] = lambda size: None
) -> Path:
    """Fetches a model; its file in the machine's cache, whose name is its sha256. `tell` gets the bytes so far, now and
    then. Raises InputError if it can't be fetched, or has another sha256 than one that is given."""
    found, size = hashlib.sha256(), 0
    fetched = _directory() / f"fetched-{uuid4().hex}"
    with replacing(fetched) as fresh:
        try:
            with open_input(url, web=web) as stream, fresh.open("wb") as copy:
                while chunk := stream.read(_CHUNK_BYTES):
                    found.update(chunk)
                    size += copy.write(chunk)
                    tell(size)
                    if size > _MAX_BYTES:
                        raise InputError(f"{shown(url)}: more than {_MAX_BYTES >> 30} GiB: no model")
        except OSError as error:
            if is_shortage(error):
                raise
            raise InputError(f"{shown(url)}: can't be copied to {fresh}: {error}") from None
        if sha256 and found.hexdigest() != sha256:
            raise InputError(
                f"{shown(url)}: not the configured model: {size} bytes with sha256 {found.hexdigest()}, not {sha256}"
            )
    return fetched.replace(_directory() / found.hexdigest())


def _directory() -> Path:
    return machine_cache() / "models"
