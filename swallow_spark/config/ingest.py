"""[ingest]: WARC records to pages."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from swallow_spark.config.access import Access
from swallow_spark.config.section import Section, Share, public_address

CC_BASE: Final = "https://data.commoncrawl.org"
CC_CRAWLS: Final = "https://index.commoncrawl.org/collinfo.json"


class Ingest(Section):
    """WARC records to pages."""

    meaningless = frozenset(
        {
            "base_url",
            "crawls_url",
            "max_failed_fraction",
            "requests_per_second",
            "bytes_per_second",
            "requests_at_once",
            "max_gap_bytes",
            "redirects_to_private_addresses",
        }
    )

    max_record_bytes: int = Field(default=64 << 20, ge=1 << 10, description="Largest inflated record or imported row.")
    max_inflated_bytes: int = Field(default=64 << 20, ge=1 << 10, description="Largest page without HTTP encodings.")
    max_inflated_ratio: int = Field(default=200, ge=2, description="Largest inflation ratio of pages above 1 MiB.")
    max_html_bytes: int = Field(default=16 << 20, ge=1 << 10, description="Largest page that is parsed.")
    max_tags: int = Field(default=500_000, ge=1, description="Most tags in a page.")
    max_depth: int = Field(default=50_000, ge=1, description="Deepest nesting of elements.")
    max_seconds_per_page: float = Field(default=30, ge=0.1, description="CPU seconds that parsing a page may take.")
    max_replaced_fraction: Share = Field(default=0.05, description="Largest share of U+FFFD in a decoded page.")
    base_url: Annotated[str, AfterValidator(public_address)] = Field(
        default=CC_BASE,
        description="Where Common Crawl's files are, for `cc:` inputs: http(s)://, s3:// or a directory.",
    )
    crawls_url: Annotated[str, AfterValidator(public_address)] = Field(
        default=CC_CRAWLS, description="Common Crawl's list of its crawls, for `add-crawl latest`."
    )
    max_failed_fraction: Share = Field(
        default=0.01,
        description="Share of a run's input files that may be unreadable. One file may be, unless this is 0.",
    )
    requests_per_second: float = Field(default=200, gt=0, description="Rate limit for HTTP servers, of the whole job.")
    bytes_per_second: float | None = Field(
        default=None, gt=0, description="Rate limit for HTTP and for byte ranges, of the whole job. Default: none."
    )
    requests_at_once: int = Field(default=8, ge=1, le=64, description="Concurrent requests of a task with --index.")
    max_gap_bytes: int = Field(default=64 << 10, ge=0, description="Largest gap between records in one request.")
    redirects_to_private_addresses: bool = Field(default=False, description="Allow redirects to private addresses.")

    def access(self, tasks: int = 1) -> Access:
        """The limits of one of `tasks` tasks: an equal share of the job's rates."""
        return Access(
            requests_per_second=self.requests_per_second / tasks,
            bytes_per_second=self.bytes_per_second and self.bytes_per_second / tasks,
            requests_at_once=self.requests_at_once,
            max_gap_bytes=self.max_gap_bytes,
            to_private_addresses=self.redirects_to_private_addresses,
        )
