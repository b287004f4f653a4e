"""Lists of expressions that a configuration names."""

from swallow_spark.config.section import Listing
from swallow_spark.errors import ConfigError


def expressions(listing: Listing) -> tuple[str, ...]:
    """The expressions in a list, one per line and stripped; blank lines and lines that begin with # are ignored.

    Raises ConfigError if the list isn't UTF-8 or has no expression.
    """
    try:
        lines = listing.content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{listing.location}: {error}") from None
    found = tuple(sorted({line.strip() for line in lines if line.strip() and not line.startswith("#")}))
    if not found:
        raise ConfigError(f"{listing.location}: the list has no expression")
    return found
