"""Removal requests: the URLs and hosts of removed pages, in 16 bytes each.

URLs are compared as in blocklists: scheme, user, port, a leading `www.`, fragment, a final slash and case are ignored,
and a name in its own script equals its ASCII form (IDNA). A host includes all hosts below it. The keys are BLAKE2b
digests of 120 bits: with a billion requests, a page among a hundred billion is removed by accident with p < 1e-15.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from swallow_spark.kernels.text import blocklists

VERSION: Final = 1
KEY_BYTES: Final = 16
Kind: TypeAlias = Literal["host", "url"]
Keys: TypeAlias = npt.NDArray[np.bytes_]

_NO_KEYS: Final = np.zeros(0, f"S{KEY_BYTES}")


class Tombstones:
    """The keys of hosts and URLs, each sorted: arrays of S16, which may be memory-mapped."""

    def __init__(self, hosts: Keys = _NO_KEYS, urls: Keys = _NO_KEYS) -> None:
        self._hosts = hosts
        self._urls = urls

    def removed(self, hosts: Sequence[str | None], urls: Sequence[str | None]) -> npt.NDArray[np.bool_]:
        """Whether each page, given by host and URL, is removed: bool, (pages,)."""
        result = np.zeros(len(urls), np.bool_)
        if len(self._urls):
            result |= _found(self._urls, [key("url", address(url)) if url else b"" for url in urls])
        if len(self._hosts):
            above = [[key("host", domain) for domain in domains_above(host)] if host else [] for host in hosts]
            page_of = np.repeat(np.arange(len(hosts)), [len(keys) for keys in above])
            listed = _found(self._hosts, [one for keys in above for one in keys])
            result[page_of[listed]] = True
        return result


def _found(keys: Keys, wanted: list[bytes]) -> npt.NDArray[np.bool_]:
    array = np.array(wanted, keys.dtype)
    places = np.minimum(np.searchsorted(keys, array), len(keys) - 1)
    found: npt.NDArray[np.bool_] = keys[places] == array
    return found


def key(kind: Kind, value: str) -> bytes:
    """The key of a host or URL in normal form. Its last byte is not zero, as arrays of bytes drop trailing zeros."""
    content = value.encode("utf-8", "surrogatepass")
    return blake2b(content, digest_size=KEY_BYTES - 1, person=kind.encode()).digest() + b"."


def sorted_keys(keys: Iterable[bytes]) -> Keys:
    """The form that Tombstones takes."""
    return np.unique(np.array([*keys], f"S{KEY_BYTES}"))


def keys_of(column: pa.ChunkedArray) -> Keys:
    """The keys in a binary column of a table, without a Python object for each."""
    one = column.cast(pa.binary(KEY_BYTES)).combine_chunks()
    return np.frombuffer(one.buffers()[1] or b"", f"S{KEY_BYTES}", len(one), one.offset * KEY_BYTES)


def address(url: str) -> str:
    """The normal form of a URL: host, path and query."""
    bare = re.sub(blocklists.FRAGMENT, "", re.sub(blocklists.SCHEME_AND_USER, "", url.strip().lower()))
    host = re.sub(blocklists.BEHIND_HOST, "", bare)
    path = re.sub(r"^[^/?]*", "", bare)
    return re.sub(blocklists.WWW, "", domain(host)) + path.rstrip("/")


def domain(name: str) -> str:
    """The normal form of a host name: lower case, without final dots, in ASCII if possible."""
    name = re.sub(blocklists.TRAILING_DOTS, "", name.strip().lower())
    try:
        return name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:  # not a valid name: kept as it is written
        return name


def domains_above(host: str) -> list[str]:
    """The normal forms of a host and of the domains above it."""
    return blocklists.parents(domain(host))
