"""Addresses of files: the part that names a file, and credentials, which are neither shown nor stored; the proxies that
the environment names for them."""

import os
import re
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit
from urllib.request import getproxies_environment, proxy_bypass

import urllib3

from swallow_spark.errors import UsageError, printable

_SECRET: Final = re.compile(r"sig|token|secret|pass|cred|auth|api.?key|access.?key|^key$|policy", re.IGNORECASE)


def key_of(location: str) -> str:
    """Names a file independently of mirror and scheme: the path from `crawl-data/` (or `cc-index/`) on; for other URLs
    host or bucket and path; for local files the absolute path."""
    if "://" not in location:
        return os.path.abspath(location)
    name = without_access(location)
    at = next((found for part in ("crawl-data/", "cc-index/") if (found := name.find(part)) >= 0), 0)
    return name[at:]


def masked(location: str) -> str:
    """A location without credentials, for tables and manifests: `***` replaces user and password, and a query with a
    parameter named like a signature, token or key."""
    parts = urlsplit(location if "://" in location else "")
    has_login = "@" in parts.netloc and parts.scheme not in ("hdfs", "viewfs")  # there a user is no secret
    if not has_login and not _is_signed(parts):
        return location
    netloc = f"***@{parts.netloc.rpartition('@')[2]}" if has_login else parts.netloc
    return urlunsplit(parts._replace(netloc=netloc, query="***" if _is_signed(parts) else parts.query))


def shown(location: str) -> str:
    """A location for messages: without credentials and control characters."""
    return printable(masked(location))


def is_masked(location: str) -> bool:
    """Whether `masked` has replaced something, so that the location can't be read."""
    return "://" in location and ("://***@" in location or location.endswith("?***"))


def without_access(location: str) -> str:
    """Host, path and query of a location, without credentials."""
    parts = urlsplit(location)
    query = f"?{parts.query}" if parts.query and not _is_signed(parts) else ""
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}{query}"


def _is_signed(parts: SplitResult) -> bool:
    names = [parameter.partition("=")[0] for parameter in parts.query.split("&")]
    return any(_SECRET.search(unquote(name)) for name in names)


def proxy_of(url: str) -> str | None:
    """The proxy that `http_proxy`, `https_proxy` or `all_proxy` names for a URL, unless `no_proxy` has its host."""
    proxies = getproxies_environment()
    parts = urlsplit(url)
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def pool_of(proxy: str | None, **options: Any) -> urllib3.PoolManager:
    """A pool of connections, through a proxy if there is one. Raises UsageError if that is none for HTTP."""
    if proxy is None:
        return urllib3.PoolManager(**options)
    try:
        login = urllib3.util.parse_url(proxy).auth
        headers = urllib3.make_headers(proxy_basic_auth=unquote(login)) if login else None
        return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
    except (urllib3.exceptions.HTTPError, ValueError):
        raise UsageError(f"{shown(proxy)}: named as a proxy by the environment, but not of HTTP") from None
