"""Blocklists: domains and URL prefixes with the reasons that they give, from lists of many makers.

A domain rejects the pages of the host of that name and of all below it (Swallow's code compares whole hosts only). A
URL prefix rejects the pages whose URL is the prefix, or goes on behind it with /, ? or #; scheme, user, port and a
leading `www.` don't count, nor does case: as squidGuard, for which UT1 makes its lists, compares them.

Names in other scripts are listed in both forms, as written and in ASCII (IDNA), for hosts are found in either.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

VERSION: Final = 1
DOMAINS: Final = pa.schema([pa.field("domain", pa.string()), pa.field("reason", pa.string())])
PREFIXES: Final = pa.schema(
    [pa.field("host", pa.string()), pa.field("prefix", pa.string()), pa.field("reason", pa.string())]
)

# Patterns of RE2 and of Java alike: stages/decide.py takes URLs apart by the same.
SCHEME_AND_USER: Final = r"^([a-z][a-z0-9+.-]*:)?//([^/?#]*@)?"
BEHIND_HOST: Final = r"[:/?#].*$"
TRAILING_DOTS: Final = r"\.+$"
WWW: Final = r"^www\."
FRAGMENT: Final = r"#.*$"


class Source(NamedTuple):
    """A list: its content, and the reason that its entries give."""

    content: bytes
    reason: str


def domains(sources: Iterable[Source]) -> pa.Table:
    """DOMAINS of lists with a domain a line (plain, `*.domain`, `.domain`, or behind an address as in a hosts file)."""
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


def parents(host: str) -> list[str]:
    """The domains that a host is or lies below."""
    labels = re.sub(TRAILING_DOTS, "", host.lower()).split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def beginnings(url: str) -> list[str]:
    """The prefixes that a URL matches, in the form of PREFIXES; the first is its host."""
    bare = re.sub(FRAGMENT, "", re.sub(SCHEME_AND_USER, "", url.lower()))
    host = re.sub(WWW, "", re.sub(TRAILING_DOTS, "", re.sub(BEHIND_HOST, "", bare)))
    path = re.sub(r"^[^/?]*", "", bare)
    segments = path.partition("?")[0].split("/")
    found = [host + "/".join(segments[:end]) for end in range(1, len(segments) + 1)]
    return [*found, host + path] if "?" in path else found


def reasons(host: str | None, url: str | None, domains: pa.Table, prefixes: pa.Table) -> list[str]:
    """The reasons against one page, sorted."""
    listed = pc.is_in(domains["domain"], value_set=pa.array(parents(host or ""), pa.string()))
    begun = pc.is_in(prefixes["prefix"], value_set=pa.array(beginnings(url or ""), pa.string()))
    found = {*domains["reason"].filter(listed).to_pylist(), *prefixes["reason"].filter(begun).to_pylist()}
    return sorted(found)


def _with_reason(columns: dict[str, pa.Array], reason: str) -> pa.Table:
    length = len(next(iter(columns.values())))
    return pa.table({**columns, "reason": pa.repeat(pa.scalar(reason, pa.string()), length)})


def _lines(content: bytes) -> pa.Array:
    lines = pa.array(content.decode("utf-8-sig", errors="replace").splitlines(), pa.string())
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(lines, r"(^|\s)#.*$", ""))


def _domains(lines: pa.Array) -> pa.Array:
    named = pc.replace_substring_regex(pc.utf8_lower(lines), r"^(0\.0\.0\.0|127\.0\.0\.1|::1?)\s+", "")
    found = _domains_only(pc.replace_substring_regex(named, r"^(\*?\.)+", ""))
    return pa.concat_arrays([found.filter(pc.not_equal(found, "")), _other_forms(found).drop_null()])


def _domains_only(names: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(names, TRAILING_DOTS, "")


def _other_forms(names: pa.Array) -> pa.Array:
    """Of each name the IDNA form where it is written otherwise, and the other way round; null where there is none."""
    international = pc.invert(pc.match_substring_regex(names, r"^[\x00-\x7f]*$"))
    candidates = pc.or_(international, pc.match_substring(names, "xn--"))
    if not pc.any(candidates).as_py():
        return pa.nulls(len(names), pa.string())
    forms = [_other_form(name) for name in names.filter(candidates).to_pylist()]
    return pc.replace_with_mask(pa.nulls(len(names), pa.string()), candidates, pa.array(forms, pa.string()))


def _other_form(name: str) -> str | None:
    try:
        return name.encode("ascii").decode("idna") if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:  # no name that could be looked up: only as it is written
        return None
