"""Hosts of URLs."""

from urllib.parse import urlsplit


def host_of(url: str) -> str | None:
    """The host of a URL in lower case, as written (IDNA names stay encoded), without port and trailing dot."""
    try:
        host = urlsplit(url.strip()).hostname
    except ValueError:
        return None
    return host.rstrip(".") or None if host else None
