"""Which columns a file of text has, as far as its beginning shows: for checks before work starts, and messages.

Each function takes a PyArrow input file and gives column -> type; STRING for what may be text; NOT_UTF8 for a column
whose values in the beginning all aren't. Nothing for a file
without rows. None if the beginning doesn't show it: whoever reads the file says what is wrong. Raises OSError or
pyarrow.ArrowException for what isn't of the format.
"""

from itertools import islice
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from swallow_spark.kernels.html import imported_csv
from swallow_spark.kernels.html.imported import is_text
from swallow_spark.kernels.text import json_array

STRING: Final = "string"
NOT_UTF8: Final = "not UTF-8"
_ROWS: Final = 100  # of JSON, which may have other keys in each
_LINE_BYTES: Final = 16 << 20
_KINDS: Final = {str: STRING, bool: "boolean", dict: "object", list: "array", type(None): "null"}

Columns = dict[str, str] | None


def of_parquet(stream: Any) -> Columns:
    file = pq.ParquetFile(stream)
    if not file.metadata.num_rows:
        return {}
    kinds = ((f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in file.schema_arrow)
    return {name: STRING if is_text(kind) else str(kind) for name, kind in kinds}


def of_json(stream: Any) -> Columns:
    """Of JSON lines, or of an array of objects."""
    found: dict[str, str] = {}
    is_empty = True
    for line in islice(json_array.read(stream, max_bytes=_LINE_BYTES), _ROWS):
        is_empty = False
        if line.problem or not isinstance(line.value, dict):
            return None
        for name, value in line.value.items():
            kind = _KINDS.get(type(value), "number")
            if kind == STRING or found.get(name, "null") == "null":
                found[name] = kind
    return found if found or is_empty else None


def of_csv(stream: Any) -> Columns:
    names, has_rows, not_utf8 = imported_csv.header(stream)
    return {name: NOT_UTF8 if name in not_utf8 else STRING for name in names} if has_rows else {}
