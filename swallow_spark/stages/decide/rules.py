"""The rules on one text, without Spark."""

from typing import Any

import pyarrow as pa

from swallow_spark.config.load import Config
from swallow_spark.kernels.html.urls import host_of
from swallow_spark.kernels.text import blocklists
from swallow_spark.stages.annotate.tasks import measure
from swallow_spark.stages.decide.blocklists import sources
from swallow_spark.stages.decide.lists import domains, prefixes


def try_rules(config: Config, text: str, url: str | None = None) -> dict[str, Any]:
    """Features and verdict of one text, as by the stages `measure` and `decide`; plain JSON."""
    section, rules = config.features, config.rules
    texts = pa.array([text], pa.large_string())
    values = measure(texts, section).to_pylist()[0]
    reasons = [reason for feature, bound in rules.bounds.items() for reason in bound.reasons(feature, values[feature])]
    if url is not None:
        own, hosts, urls = sources(rules)
        reasons += blocklists.reasons(host_of(url), url, domains([own, *hosts]), prefixes(urls))
    return {"preset": rules.preset, "accepted": not reasons, "reasons": reasons, "features": values}
