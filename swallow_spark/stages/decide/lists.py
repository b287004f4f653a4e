"""Lists of blocked domains and URLs, in several publishers' formats, as tables.

International names are listed in both forms, Unicode and ASCII (IDNA), since hosts appear in either.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from swallow_spark.kernels.text.blocklists import BEHIND_HOST, FRAGMENT, SCHEME_AND_USER, TRAILING_DOTS, WWW
from swallow_spark.kernels.text.packed import text_of

DOMAINS: Final = pa.schema([pa.field("domain", pa.string()), pa.field("reason", pa.string())])
PREFIXES: Final = pa.schema(
    [pa.field("host", pa.string()), pa.field("prefix", pa.string()), pa.field("reason", pa.string())]
)


class Source(NamedTuple):
    """A list: its content, and the reason for a page that it blocks."""

    content: bytes
    reason: str


def domains(sources: Iterable[Source]) -> pa.Table:
    """DOMAINS of lists with a domain a line (plain, `*.domain`, `.domain`, or after an address as in a hosts file)."""
    found = [_with_reason({"domain": _domains(_lines(source.content))}, source.reason) for source in sources]
    return pa.concat_tables([DOMAINS.empty_table(), *found]).group_by(DOMAINS.names).aggregate([]).select(DOMAINS.names)


def prefixes(sources: Iterable[Source]) -> pa.Table:
    """PREFIXES of lists with a URL a line, with or without scheme. `host` is that of the prefix, without www."""
    found = []
    for source in sources:
        urls = pc.utf8_lower(_lines(source.content))
        bare = pc.replace_substring_regex(pc.replace_substring_regex(urls, SCHEME_AND_USER, ""), FRAGMENT, "")
        hosts = pc.replace_substring_regex(_domains_only(pc.replace_substring_regex(bare, BEHIND_HOST, "")), WWW, "")
        paths = pc.utf8_rtrim(pc.replace_substring_regex(bare, r"^[^/?]*", ""), "/")
        present = pc.not_equal(hosts, "")
        hosts, paths = hosts.filter(present), paths.filter(present)
        for forms in (hosts, _other_forms(hosts)):
            columns = {"host": forms, "prefix": pc.binary_join_element_wise(forms, paths, "")}
            found.append(_with_reason(columns, source.reason))
    table = pa.concat_tables([PREFIXES.empty_table(), *found])
    table = table.filter(pc.is_valid(table["host"]))
    return table.group_by(PREFIXES.names).aggregate([]).select(PREFIXES.names)


def _with_reason(columns: dict[str, pa.Array], reason: str) -> pa.Table:
    length = len(next(iter(columns.values())))
    return pa.table({**columns, "reason": pa.repeat(pa.scalar(reason, pa.string()), length)})


def _lines(content: bytes) -> pa.Array:
    lines = pa.array(text_of(content).splitlines(), pa.string())
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(lines, r"(^|\s)#.*$", ""))


def _domains(lines: pa.Array) -> pa.Array:
    named = pc.replace_substring_regex(pc.utf8_lower(lines), r"^(0\.0\.0\.0|127\.0\.0\.1|::1?)\s+", "")
    found = _domains_only(pc.replace_substring_regex(named, r"^(\*?\.)+", ""))
    return pa.concat_arrays([found.filter(pc.not_equal(found, "")), _other_forms(found).drop_null()])


def _domains_only(names: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(names, TRAILING_DOTS, "")


def _other_forms(names: pa.Array) -> pa.Array:
    """The IDNA form of each international name, and the other way round; null for other names."""
    international = pc.invert(pc.match_substring_regex(names, r"^[\x00-\x7f]*$"))
    candidates = pc.or_(international, pc.match_substring(names, "xn--"))
    if not pc.any(candidates).as_py():
        return pa.nulls(len(names), pa.string())
    forms = [_other_form(name) for name in names.filter(candidates).to_pylist()]
    return pc.replace_with_mask(pa.nulls(len(names), pa.string()), candidates, pa.array(forms, pa.string()))


def _other_form(name: str) -> str | None:
    try:
        return name.encode("ascii").decode("idna") if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:  # not a valid name: only as it is written
        return None
