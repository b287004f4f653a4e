"""What the INPUT arguments of a command stand for: files with canonical keys, sizes and formats."""

import glob
import gzip
import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pyarrow import fs

from swallow_spark.errors import InputError
from swallow_spark.storage import filesystem, http_size, is_uri, open_input
from swallow_spark.tables import InputFile

CC_BASE: Final = "https://data.commoncrawl.org"
_LISTING: Final = re.compile(r"\.(paths|paths\.gz|txt)$")
_CC: Final = re.compile(r"cc:(CC-MAIN-\d{4}-\d{2})")
# Rows of text, whatever they are compressed with; everything else is a WARC.
_TEXT_FORMATS: Final = {".jsonl": "jsonl", ".jsonl.gz": "jsonl", ".jsonl.zst": "jsonl", ".parquet": "parquet"}


def expand(inputs: Sequence[str], *, text: bool = False, cc_base: str = CC_BASE) -> list[InputFile]:
    """The files that INPUT arguments name: paths, globs, URIs, listings of them, `cc:CC-MAIN-YYYY-WW`.

    `text`: rows of extracted text (JSON lines, Parquet), not WARCs. Raises InputError for an argument that matches
    nothing, can't be read, or is of another kind.
    """
    found: dict[str, InputFile] = {}
    for argument in inputs:
        for file in _expand_one(argument, text, cc_base):
            found.setdefault(file.key, file)
    return list(found.values())


def _expand_one(argument: str, text: bool, cc_base: str) -> list[InputFile]:
    if match := _CC.fullmatch(argument):
        lines = _lines(f"{cc_base}/crawl-data/{match[1]}/warc.paths.gz")
        # Their sizes stay unknown: asking for those of 90,000 files would take longer than it is worth.
        return [InputFile(line, f"{cc_base}/{line}", -1, None, "warc", number) for number, line in enumerate(lines)]
    if argument.startswith("cc:"):
        raise InputError(f"{argument}: write cc:CC-MAIN-YYYY-WW")
    if _LISTING.search(argument):
        names = [line for line in _lines(argument) if not line.startswith("#")]
        if not names:
            raise InputError(f"{argument}: a listing without a line")
        directory = argument.rpartition("/")[0]
        try:
            return [
                _file(name if is_uri(name) or name.startswith("/") else f"{directory or '.'}/{name}", text)
                for name in names
            ]
        except InputError as error:
            raise InputError(f"{argument}: {error}") from None
    if not is_uri(argument):
        matches = sorted(glob.glob(argument, recursive=True)) if glob.has_magic(argument) else [argument]
        if Path(argument).exists():  # a name may hold glob characters
            matches = [argument]
        if not matches:
            raise InputError(f"{argument}: no file matches")
        return [_file(match, text) for match in matches]
    return [_file(argument, text)]


def _lines(location: str) -> list[str]:
    """The lines of a listing, plain or gzip, without blank ones."""
    try:
        with open_input(location) as stream:
            content = stream.read()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        return [line.strip() for line in content.decode().splitlines() if line.strip()]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{location}: no listing: {error}") from None


def _file(location: str, text: bool) -> InputFile:
    kind = _format(location, text)
    if location.startswith(("http://", "https://")):
        size, etag = http_size(location)
        return InputFile(_key(location), location, size, etag, kind)
    try:
        files, path = filesystem(location)
        info = files.get_file_info(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{location}: {error}") from None
    if info.type != fs.FileType.File:
        what = "a directory, not a file (a glob names the files in it)" if info.type == fs.FileType.Directory else ""
        raise InputError(f"{location}: {what or 'no such file'}")
    with open_input(location):  # an unreadable file is an error now, not in a task later
        pass
    return InputFile(_key(location), location if is_uri(location) else path, info.size, None, kind)


def _format(location: str, text: bool) -> str:
    kind = next((kind for suffix, kind in _TEXT_FORMATS.items() if location.endswith(suffix)), "warc")
    if text == (kind == "warc"):
        wanted = f"a file of text ({', '.join(_TEXT_FORMATS)})" if text else "a WARC (`import` takes extracted text)"
        raise InputError(f"{location}: not {wanted}")
    return kind


def _key(location: str) -> str:
    """What names a file whatever mirror or scheme it comes by: from `crawl-data/` on, else host or bucket and path."""
    if (at := location.find("crawl-data/")) >= 0 and is_uri(location):
        return location[at:]
    return location.partition("://")[2] if is_uri(location) else os.path.abspath(location)
