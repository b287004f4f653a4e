"""[dedup]: which of the pages that share a bucket are kept."""

from typing import Literal

from pydantic import Field

from swallow_spark.config.section import Section, Share


class Dedup(Section):
    """Which of the pages that share a bucket are kept."""

    policy: Literal["bucket", "greedy", "component"] = Field(
        default="bucket", description="Which pages are dropped; see the guide to dedup."
    )
    prefer: Literal["oldest", "newest", "longest"] = Field(
        default="oldest", description="Order of the pages: the earlier of two near-duplicates is kept."
    )
    min_similarity: Share | None = Field(
        default=None,
        description="Smallest estimated Jaccard similarity of a page and its witness. Default: no minimum.",
    )
