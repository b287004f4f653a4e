"""Addresses of files: what names a file, and what only gives access to it and is neither told nor stored."""

import os
import re
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from swallow_spark.errors import printable

_SECRET: Final = re.compile(r"sig|token|secret|pass|cred|auth|api.?key|access.?key|^key$|policy", re.IGNORECASE)


def key_of(location: str) -> str:
    """What names a file whatever mirror or scheme it comes by: from `crawl-data/` (or `cc-index/`) on, else host or
    bucket and path, else the absolute path."""
    if "://" not in location:
        return os.path.abspath(location)
    name = without_access(location)
    at = next((found for part in ("crawl-data/", "cc-index/") if (found := name.find(part)) >= 0), 0)
    return name[at:]


def masked(location: str) -> str:
    """A location without what gives access, for tables and manifests; `***` stands for a user and password, and for a
    query that has a parameter named like a signature, token or key. Any other location as it is."""
    parts = urlsplit(location if "://" in location else "")
    has_login = "@" in parts.netloc and parts.scheme not in ("hdfs", "viewfs")  # there a user is no secret
    if not has_login and not _is_signed(parts):
        return location
    netloc = f"***@{parts.netloc.rpartition('@')[2]}" if has_login else parts.netloc
    return urlunsplit(parts._replace(netloc=netloc, query="***" if _is_signed(parts) else parts.query))


def shown(location: str) -> str:
    """A location for messages: without what gives access, and without control characters."""
    return printable(masked(location))


def is_masked(location: str) -> bool:
    """Whether `masked` has left something out, so that it can't be asked for."""
    return "://" in location and ("://***@" in location or location.endswith("?***"))


def without_access(location: str) -> str:
    """Host, path and query of a location, without what gives access: what names a file whoever asks for it."""
    parts = urlsplit(location)
    query = f"?{parts.query}" if parts.query and not _is_signed(parts) else ""
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}{query}"


def _is_signed(parts: SplitResult) -> bool:
    names = [parameter.partition("=")[0] for parameter in parts.query.split("&")]
    return any(_SECRET.search(unquote(name)) for name in names)
