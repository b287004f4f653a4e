"""[report]: the report's samples."""

from pydantic import Field

from swallow_spark.sections.section import Section


class Report(Section):
    """The report's samples."""

    sample_pages: int = Field(default=12, ge=0, le=200)
    seed: int = 1
