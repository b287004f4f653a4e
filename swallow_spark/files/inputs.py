"""Expands the INPUT arguments of a command into files with canonical keys, sizes and formats."""

import glob
import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from pyarrow import fs

from swallow_spark.addresses import key_of, shown
from swallow_spark.config.access import Access
from swallow_spark.config.ingest import CC_BASE
from swallow_spark.errors import InputError, UsageError
from swallow_spark.files.http import HttpClient
from swallow_spark.files.storage import fetch, filesystem, is_http, is_uri, version_of
from swallow_spark.kernels.html import imported_columns, imported_csv
from swallow_spark.kernels.html.imported import TEXT, Row, json_array, json_lines, parquet
from swallow_spark.tables import InputFile

_LISTING: Final = re.compile(r"\.(paths|paths\.gz|txt)$")
_CC: Final = re.compile(r"cc:(CC-MAIN-\d{4}-\d{2})")
_WARCS: Final = "warc.paths.gz"
_ASKED_AT_ONCE: Final = 16


class Format(NamedTuple):
    """A format of text that was extracted elsewhere.

    `rows(stream, max_record_bytes)` gives the rows of a PyArrow input file, numbered from 0, the same on each reading.
    A row's strings may have `max_record_bytes` in total; an unusable row has a `problem`. Raises OSError or
    pyarrow.ArrowException at the point where the file is damaged; the rows before that count.

    `columns` tells the columns (see kernels.html.imported_columns). A format that has it takes the name of the text's
    column as a third argument of `rows`, `text_column`.
    """

    suffixes: tuple[str, ...]
    rows: Callable[..., Iterator[Row]]
    columns: Callable[[Any], imported_columns.Columns] | None = None


TEXT_FORMATS: Final = {
    "jsonl": Format((".jsonl", ".jsonl.gz", ".jsonl.zst"), json_lines, imported_columns.of_json),
    "parquet": Format((".parquet",), parquet, imported_columns.of_parquet),
    "json": Format((".json", ".json.gz", ".json.zst"), json_array, imported_columns.of_json),
    "csv": Format((".csv",), imported_csv.rows, imported_columns.of_csv),
}
"""By their names in the table `inputs`, where `:COLUMN` follows if the text isn't in `text`. Any other file is a
WARC."""
_WARC_SUFFIXES: Final = (".warc", ".warc.gz", ".warc.zst", ".arc", ".arc.gz", ".wacz")
TEXT_SUFFIXES: Final = ", ".join(suffix for format in TEXT_FORMATS.values() for suffix in format.suffixes)


class Places(NamedTuple):
    """Where Common Crawl's files are, and the limits on requests to servers."""

    base_url: str = CC_BASE
    access: Access = Access()

    @property
    def base(self) -> str:
        return self.base_url.rstrip("/") if is_uri(self.base_url) else os.path.abspath(self.base_url)


def text_format(name: str) -> tuple[str, str]:
    """The name of a format, and of the column that holds the text, from the table `inputs`."""
    kind, _, column = name.partition(":")
    return kind, column or TEXT


def format_of(name: str) -> Format:
    """The format of a file of text, by its name in the table `inputs`; reads the column that this names."""
    kind, column = text_format(name)
    found = TEXT_FORMATS[kind]
    return found if column == TEXT else found._replace(rows=partial(found.rows, text_column=column))


def expand(
    inputs: Sequence[str],
    places: Places | None = None,
    *,
    text: bool = False,
    text_column: str = TEXT,
    part: slice | None = None,
) -> list[InputFile]:
    """The files that INPUT arguments name: paths, globs, directories, URIs, listings of them, `cc:CC-MAIN-YYYY-WW`.

    part: which lines of the listings of `cc:`. text: extracted text, not WARCs; text_column: the column that holds it.
    Paths may hold credentials: display them with `addresses.shown`. Raises InputError for an argument that matches
    nothing, can't be read, or has another format.
    """
    found: dict[str, InputFile] = {}
    places = places or Places()
    web = HttpClient(places.access)
    for argument in inputs:
        for file in _expand_one(argument, places.base, web, text, part):
            found.setdefault(file.key, file)
    if text_column == TEXT:
        return list(found.values())
    if without := [file for file in found.values() if not TEXT_FORMATS[file.format].columns]:
        raise InputError(f"{shown(without[0].path)}: --text-column: files of this format have no columns with names")
    return [file._replace(format=f"{file.format}:{text_column}") for file in found.values()]


def part_of(text: str) -> slice:
    """The lines of a listing that `FROM:TO` selects; either number may be missing. Raises UsageError."""
    match = re.fullmatch(r"(\d{0,9}):(\d{0,9})", text, re.ASCII)
    if not match or text == ":":
        raise UsageError(f"--files {text}: write FROM:TO, as in 0:100 for the first hundred lines of warc.paths")
    start, stop = (int(number) if number else None for number in match.groups())
    return slice(start, stop)


def locations_of(argument: str, places: Places, listing: str) -> list[str]:
    """The locations that an argument names: the lines of a listing (for `cc:` the crawl's `listing`), the matches of a
    glob, or the argument itself. Raises InputError if there are none."""
    return _locations_of(argument, places.base, HttpClient(places.access), listing)


def _expand_one(argument: str, base: str, web: HttpClient, text: bool, part: slice | None) -> list[InputFile]:
    if not argument:
        raise InputError("an INPUT is empty: is a variable of the shell not set?")
    if match := _CC.fullmatch(argument):
        numbered = list(enumerate(_lines(_of_crawl(match[1], base, _WARCS), web)))[part or slice(None)]
        if not numbered:
            raise InputError(f"{argument}: --files selects no line of its warc.paths")
        # Sizes stay unknown until the files are read: 90,000 requests for them would take too long.
        return [InputFile(line, f"{base}/{line}", -1, None, "warc", number) for number, line in numbered]
    locations = _locations_of(argument, base, web, _WARCS)
    if not _LISTING.search(_path(argument)):
        return [_file(file, text, web) for location in locations for file in _below(location, text)]
    try:
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            return list(pool.map(partial(_listed_file, text=text, web=web), locations))
    except InputError as error:
        raise InputError(f"{shown(argument)}: {error}") from None


def _below(location: str, text: bool) -> list[str]:
    """The files in a directory and in those below, each once, by their suffixes; what isn't a directory itself. Names
    that begin with a dot or underscore, as _SUCCESS, are left out."""
    if is_http(location):
        return [location]
    files, inner = filesystem(location)
    try:
        if files.get_file_info(inner).type != fs.FileType.Directory:
            return [location]
        infos = files.get_file_info(fs.FileSelector(inner, recursive=True))
    except OSError as error:
        raise InputError(f"{shown(location)}: {error}") from None
    names = [info.path[len(inner.rstrip("/")) + 1 :] for info in infos if info.type == fs.FileType.File]
    suffixes = tuple(s for format in TEXT_FORMATS.values() for s in format.suffixes) if text else _WARC_SUFFIXES
    wanted = sorted(n for n in names if n.endswith(suffixes) and not re.search(r"(^|/)[._]", n))
    if not is_uri(location):  # a link to a directory above leads to the same files again and again
        longest_first = sorted(wanted, key=lambda name: name.count("/"), reverse=True)
        wanted = sorted({os.path.realpath(f"{location}/{name}"): name for name in longest_first}.values())
    if not wanted:
        wrong = ", ".join(sorted({os.path.splitext(name)[1] or name for name in names})[:10]) or "nothing"
        raise InputError(f"{shown(location)}: no file of {', '.join(suffixes)} in this directory: it has {wrong}")
    return [f"{location.rstrip('/')}/{name}" for name in wanted]


def _of_crawl(crawl: str, base: str, listing: str) -> str:
    return f"{base}/crawl-data/{crawl}/{listing}"


def _locations_of(argument: str, base: str, web: HttpClient, listing: str) -> list[str]:
    if match := _CC.fullmatch(argument):
        return [f"{base}/{line}" for line in _lines(_of_crawl(match[1], base, listing), web)]
    if argument.startswith("cc:"):
        raise InputError(f"{argument}: write cc:CC-MAIN-YYYY-WW")
    if _LISTING.search(_path(argument)):
        found = [_beside(argument, line) for line in _lines(argument, web) if not line.startswith("#")]
        if not found:
            raise InputError(f"{shown(argument)}: the listing is empty")
        return found
    if is_uri(argument) or not glob.has_magic(argument) or Path(argument).exists():  # a name may hold glob characters
        return [argument]
    found = sorted(glob.glob(argument, recursive=True))
    if not found:
        raise InputError(f"{argument}: no file matches")
    return found


def _path(location: str) -> str:
    """The part of a location that shows the file's format."""
    return urlsplit(location).path if is_http(location) else location


def _beside(listing: str, line: str) -> str:
    """The location in a line of a listing, which may be relative to the listing. Raises InputError if a remote listing
    names a local file."""
    is_remote = is_uri(listing) and not listing.startswith("file:")
    found = line
    if is_http(listing):
        found = urljoin(listing, line)
    elif not is_uri(line) and not line.startswith("/"):
        found = f"{listing.rpartition('/')[0] or '.'}/{line}"
    if is_remote and (not is_uri(found) or found.startswith("file:")):
        raise InputError(f"{shown(listing)}: a remote listing can't name a local file: {shown(line)}")
    return found


def _lines(location: str, web: HttpClient) -> list[str]:
    """The lines of a listing, plain or gzip, without blank ones."""
    try:
        content = fetch(location, web)
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        return [line.strip() for line in content.decode().splitlines() if line.strip()]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{shown(location)}: not a readable listing: {error}") from None


def _listed_file(location: str, text: bool, web: HttpClient) -> InputFile:
    key = key_of(location)
    if is_uri(location) and key.startswith("crawl-data/"):  # as for `cc:`
        return InputFile(key, location, -1, None, _format(location, text))
    return _file(location, text, web)


def _file(location: str, text: bool, web: HttpClient) -> InputFile:
    kind = _format(location, text)
    path = location
    if not is_http(location):
        files, inner = filesystem(location)
        try:
            info = files.get_file_info(inner)
        except OSError as error:
            raise InputError(f"{shown(location)}: {error}") from None
        if info.type != fs.FileType.File:
            is_directory = info.type == fs.FileType.Directory
            what = "a directory, not a file (a glob names the files in it)" if is_directory else "no such file"
            raise InputError(f"{shown(location)}: {what}")
        path = location if is_uri(location) else inner
    version = version_of(location, web)  # fails now for an unreadable file, not later in a task
    return InputFile(key_of(location), path, version.bytes, version.etag, kind)


def _format(location: str, text: bool) -> str:
    path = _path(location)
    kind = next((name for name, format in TEXT_FORMATS.items() if path.endswith(format.suffixes)), "warc")
    if text == (kind == "warc"):
        wanted = f"a file of text ({TEXT_SUFFIXES})" if text else "a WARC (`import` takes extracted text)"
        raise InputError(f"{shown(location)}: not {wanted}")
    return kind
