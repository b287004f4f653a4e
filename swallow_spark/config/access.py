"""How HTTP servers are asked, for those who ask them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Access:
    """How servers are asked. Rates are those of one client: a task's share of what the job may do."""

    requests_per_second: float | None = None
    bytes_per_second: float | None = None
    attempts: int = 6
    """In a row that bring less than a mebibyte, before a file is given up."""
    seconds: float = 60
    """To wait for a connection, and for the next bytes; in which a connection has to bring 64 KiB, too."""
    requests_at_once: int = 8
    """By which ranges of a file are read together."""
    max_gap_bytes: int = 64 << 10
    """Between ranges that one request reads."""
    to_private_addresses: bool = False
    """Whether redirects may lead to addresses that are not public: loopback, link-local, private networks."""
