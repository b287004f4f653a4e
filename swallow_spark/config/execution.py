"""[execution], [monitoring], [report]: how work is cut up, and what is reported. Nothing here changes a row."""

from typing import Literal

from pydantic import Field

from swallow_spark.config.section import Section


class Execution(Section):
    """How work is cut up."""

    files_per_batch: int = Field(default=2048, ge=1, description="Input files committed together.")
    files_per_task: int = Field(default=32, ge=1, description="Input files read by one task, at most.")
    min_bytes_per_range: int = Field(
        default=64 << 20,
        ge=1,
        description="Smallest byte range of a file that several tasks share, if there are fewer files than cores.",
    )
    batches_in_flight: int = Field(default=2, ge=1, le=16, description="Batches that are processed at once.")
    shuffle_partitions: int | None = Field(
        default=None, ge=1, description="Partitions of dedup's shuffles. Default: one for each 4 million rows."
    )
    bands_per_pass: int = Field(default=10, ge=1, description="LSH bands shuffled together; more if pages are few.")


class Monitoring(Section):
    """Logs, metrics and notifications."""

    log: Literal["text", "json"] = Field(
        default="text", description="Format of the lines on standard error. `json`: one object per line."
    )
    metrics_file: str | None = Field(default=None, description="File for Prometheus's textfile collector.")
    metrics_url: str | None = Field(default=None, pattern="^https?://", description="URL of a Prometheus Pushgateway.")
    notify: str | None = Field(
        default=None, description="Gets the outcome of a run as JSON: an http(s) URL by POST, or a file as a new line."
    )


class Report(Section):
    """Samples of pages in the report."""

    sample_pages: int = Field(default=12, ge=0, le=200, description="Pages shown of each sample.")
    seed: int = Field(default=1, description="Seed of the samples.")
