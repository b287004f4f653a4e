"""Hosts and URLs against listed domains and prefixes of URLs, which give reasons.

A domain rejects the pages of the host of that name and of all below it (Swallow's code compares whole hosts only). A
URL prefix rejects the pages whose URL is the prefix, or goes on behind it with /, ? or #; scheme, user, port and a
leading `www.` don't count, nor does case: as squidGuard, for which UT1 makes its lists, compares them.
"""

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

VERSION: Final = 1
# Patterns of RE2 and of Java alike: stages/decide.py takes URLs apart by the same.
SCHEME_AND_USER: Final = r"^([a-z][a-z0-9+.-]*:)?//([^/?#]*@)?"
BEHIND_HOST: Final = r"[:/?#].*$"
TRAILING_DOTS: Final = r"\.+$"
WWW: Final = r"^www\."
FRAGMENT: Final = r"#.*$"


def parents(host: str) -> list[str]:
    """The domains that a host is or lies below."""
    labels = re.sub(TRAILING_DOTS, "", host.lower()).split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def beginnings(url: str) -> list[str]:
    """The prefixes that a URL matches, in the form of listed ones; the first is its host."""
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
