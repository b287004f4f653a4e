"""The reasons against a page from lists of domains and URL prefixes.

A domain rejects the pages of its host and of all hosts below it (Swallow's code compares whole hosts only). A URL
prefix rejects the pages whose URL is the prefix, or continues with /, ? or #. Scheme, user, port, a leading `www.` and
case are ignored, as in squidGuard, for which UT1 makes its lists.
"""

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

VERSION: Final = 1
# Valid in RE2 and in Java: stages/decide uses them too.
SCHEME_AND_USER: Final = r"^([a-z][a-z0-9+.-]*:)?//([^/?#]*@)?"
BEHIND_HOST: Final = r"[:/?#].*$"
TRAILING_DOTS: Final = r"\.+$"
WWW: Final = r"^www\."
FRAGMENT: Final = r"#.*$"


def parents(host: str) -> list[str]:
    """A host and the domains above it."""
    labels = re.sub(TRAILING_DOTS, "", host.lower()).split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def beginnings(url: str) -> list[str]:
    """The prefixes that match a URL, in the form of the lists; the first is its host."""
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
