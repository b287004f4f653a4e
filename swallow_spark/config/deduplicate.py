"""[dedup]: which of the pages that share a bucket is kept."""

from typing import Literal

from pydantic import Field

from swallow_spark.config.section import Section, Share


class Dedup(Section):
    """Which of the pages that share a bucket is kept."""

    policy: Literal["bucket", "greedy", "component"] = "bucket"
    prefer: Literal["oldest", "newest", "longest"] = "oldest"
    min_similarity: Share | None = Field(default=None, description="of page and witness, estimated; none: not asked")
