"""Looks at local files of text before any work: what no page can come of is an error that says what is there."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from os.path import abspath
from typing import Final

import pyarrow as pa

from swallow_spark.addresses import shown
from swallow_spark.errors import InputError, meant
from swallow_spark.files.inputs import TEXT_FORMATS, text_format
from swallow_spark.files.storage import is_uri, open_random_access
from swallow_spark.kernels.html.imported import OTHERS
from swallow_spark.kernels.html.imported_columns import NOT_UTF8, STRING, Columns
from swallow_spark.tables import InputFile

_MOST_LOOKED_AT: Final = 1_000  # files: some seconds
_MOST_NAMED: Final = 30  # columns, in a message
_NOT_UTF8_ADVICE: Final = "not UTF-8: convert the file; if it is Shift_JIS: `iconv -f CP932 -t UTF-8 OLD > NEW`"
_OTHER_MARKS: Final = {"\t": "tabs", ";": "semicolons"}
_USUAL: Final = ("text", "content", "raw_content", "body", "page_content", "document", "article", "markdown")


def check_columns(files: Sequence[InputFile], arguments: Iterable[str]) -> list[InputFile]:
    """The files, of which the first thousand local ones are looked at. Raises InputError for a file without the text
    column, and if an INPUT that names a file, or all of them together, have no row. Damage is left to whoever reads."""
    named = {abspath(argument) for argument in arguments}
    empty, local = 0, [file for file in files if not is_uri(file.path)][:_MOST_LOOKED_AT]
    for file in local:
        columns = _columns(file)
        if columns == {}:
            empty += 1
            if abspath(file.path) in named or empty == len(files):
                raise InputError(f"{shown(file.path)}: no rows: the file is empty; leave it out")
        elif columns is not None:
            _check(file, columns)
    return list(files)


def _columns(file: InputFile) -> Columns:
    if file.bytes == 0:
        return {}
    read = TEXT_FORMATS[text_format(file.format)[0]].columns
    try:
        with suppress(OSError, pa.ArrowException), open_random_access(file.path) as stream:
            return read(stream) if read else None
    except UnicodeDecodeError:
        raise InputError(f"{shown(file.path)}: the names of its columns are {_NOT_UTF8_ADVICE}") from None
    except ValueError:
        pass
    return None


def _check(file: InputFile, columns: dict[str, str]) -> None:
    kind, wanted = text_format(file.format)
    if columns.get(wanted) in (STRING, "null"):  # it may not be null in later rows
        return
    if columns.get(wanted) == NOT_UTF8:
        raise InputError(f"{shown(file.path)}: the column `{wanted}` is {_NOT_UTF8_ADVICE}")
    what = f"the column `{wanted}` is {columns[wanted]}, not text" if wanted in columns else f"no column `{wanted}`"
    names = list(columns)
    there = ", ".join(f"{name} ({columns[name]})" for name in names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    strings = [name for name in names if columns[name] == STRING and name not in OTHERS]
    likely = next((name for name in (*_USUAL, *strings) if name in strings), None)
    advice = f"give the one that holds the text, as --text-column {likely}" if likely else "no column holds text"
    if kind == "csv" and len(names) == 1 and (mark := next((m for m in _OTHER_MARKS if m in names[0]), None)):
        advice = f"values are separated by {_OTHER_MARKS[mark]}: write the file with commas"
        strings = []
    near = meant(wanted, strings)
    raise InputError(f"{shown(file.path)}: {what}{near}; this {kind} file has {there}{more}: {advice}")
