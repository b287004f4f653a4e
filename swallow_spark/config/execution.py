"""[execution], [monitoring], [report]: how the work is cut up, and what is told of it. Nothing here changes a row."""

from typing import Literal

from pydantic import Field

from swallow_spark.config.section import Section


class Execution(Section):
    """How the work is cut up. Nothing here changes a row of the result, so nothing here enters a fingerprint."""

    files_per_batch: int = Field(default=2048, ge=1, description="input files committed together")
    files_per_task: int = Field(default=32, ge=1, description="input files that one task reads, at most")
    min_bytes_per_range: int = Field(
        default=64 << 20, ge=1, description="of a file that several tasks share, where there are fewer files than cores"
    )
    batches_in_flight: int = Field(default=2, ge=1, le=16)
    shuffle_partitions: int | None = Field(default=None, ge=1, description="of dedup; none: by the number of rows")
    bands_per_pass: int = Field(
        default=10, ge=1, description="bands of dedup that are shuffled together; more, where pages are few"
    )


class Monitoring(Section):
    """What is told to whom. Nothing here changes a row."""

    log: Literal["text", "json"] = Field(default="text", description="lines on standard error; json: one object a line")
    metrics_file: str | None = Field(
        default=None, description="Prometheus text format, for the node exporter's textfile collector"
    )
    metrics_url: str | None = Field(default=None, pattern="^https?://", description="a Prometheus Pushgateway")
    notify: str | None = Field(
        default=None, description="gets the result as JSON when a run has ended: an http(s) URL by POST, or a file"
    )


class Report(Section):
    """The report's samples."""

    sample_pages: int = Field(default=12, ge=0, le=200)
    seed: int = 1
