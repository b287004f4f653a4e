"""[monitoring]: where a run tells how far it is, beside standard error."""

from typing import Literal

from pydantic import Field

from swallow_spark.sections.section import Section


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
