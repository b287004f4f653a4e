"""Lists of hosts and URLs to remove: one a line; a # at the beginning or after a blank starts a comment.
May be packed with gzip or zstd."""

import re

from swallow_spark.kernels.text.packed import text_of
from swallow_spark.kernels.text.tombstones import Kind, address, domain


def parse(kind: Kind, content: bytes) -> list[str]:
    """The normal forms of a list's hosts or URLs, sorted."""
    lines = text_of(content).splitlines()
    bare = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in lines)
    normal = address if kind == "url" else lambda line: domain(_host(line))
    return sorted({found for line in bare if line and (found := normal(line))})


def _host(line: str) -> str:
    """The host that a line names: as it is, as `*.HOST`, or by a URL."""
    return re.sub(r"^(\*?\.)+", "", re.sub(r"^[a-z][a-z0-9+.-]*://|[/?#:].*$", "", line, flags=re.IGNORECASE))
