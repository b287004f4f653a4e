"""Limits on requests to HTTP servers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Access:
    """Limits on requests to servers. Rates are those of one client: a task's share of the job's rates."""

    requests_per_second: float | None = None
    bytes_per_second: float | None = None
    attempts: int = 6
    """Consecutive attempts that bring less than 1 MiB, before a file is given up."""
    seconds: float = 60
    """Timeout for a connection, for the next bytes, and for 64 KiB."""
    requests_at_once: int = 8
    """Concurrent requests for ranges of a file."""
    max_gap_bytes: int = 64 << 10
    """Largest gap between ranges that one request reads."""
    to_private_addresses: bool = False
    """Whether redirects may lead to addresses that are not public: loopback, link-local, private networks."""
