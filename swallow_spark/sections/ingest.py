"""[ingest]: WARC records to pages."""

from pydantic import Field

from swallow_spark.sections.section import Section, Share


class Ingest(Section):
    """WARC records to pages."""

    max_record_bytes: int = Field(default=64 << 20, ge=1 << 10, description="of a WARC record as framed, inflated")
    max_inflated_bytes: int = Field(default=64 << 20, ge=1 << 10, description="of a page after removing HTTP encodings")
    max_inflated_ratio: int = Field(default=200, ge=2, description="of these to those stored, from a mebibyte on")
    max_html_bytes: int = Field(default=16 << 20, ge=1 << 10, description="of HTML parsed")
    max_tags: int = Field(default=500_000, ge=1, description="of a page")
    max_depth: int = Field(default=50_000, ge=1, description="of elements in each other")
    max_seconds_per_page: float = Field(default=30, ge=0.1, description="elapsed while a page is parsed")
    max_replaced_fraction: Share = Field(default=0.05, description="U+FFFD in a decoded page, above it a failure")
