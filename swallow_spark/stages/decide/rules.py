"""The rules on one text, without Spark."""

from typing import Any

import pyarrow as pa
from rich import box
from rich.console import Console
from rich.table import Table

from swallow_spark.config.load import Config
from swallow_spark.kernels.html.urls import host_of
from swallow_spark.kernels.text import blocklists
from swallow_spark.stages.annotate.tasks import lists, measure
from swallow_spark.stages.decide.blocklists import sources
from swallow_spark.stages.decide.lists import domains, prefixes


def try_rules(config: Config, text: str, url: str | None = None) -> dict[str, Any]:
    """Features and verdict of one text, as the stages `measure` and `decide` give them; as plain JSON."""
    section, rules = config.features, config.rules
    texts = pa.array([text], pa.large_string())
    values = measure(texts, section, lists(section)).to_pylist()[0]
    reasons = [reason for feature, bound in rules.bounds.items() for reason in bound.reasons(feature, values[feature])]
    if url is not None:
        own, hosts, urls = sources(rules)
        reasons += blocklists.reasons(host_of(url), url, domains([own, *hosts]), prefixes(urls))
    return {"preset": rules.preset, "accepted": not reasons, "reasons": reasons, "features": values}


def show_trial(trial: dict[str, Any], config: Config, console: Console) -> None:
    """Prints features and verdict for people, those that rules compare first."""
    bounds = config.rules.bounds
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("feature", "value", "bounds", "reason"):
        table.add_column(heading, justify="right" if heading == "value" else "left", no_wrap=True)
    others = (name for name, value in trial["features"].items() if name not in bounds and value is not None)
    for feature in [*bounds, *others]:
        value, bound = trial["features"][feature], bounds.get(feature)
        shown = "not measured" if value is None else f"{value:.4g}" if isinstance(value, float) else f"{value}"
        said = ", ".join(f"{k} {v:g}" for k, v in (bound or {}) if k != "source" and v is not None)
        broken = " ".join(bound.reasons(feature, value)) if bound else ""
        table.add_row(feature, shown, said, broken)
    console.print(table)
    verdict = "accepted" if trial["accepted"] else f"rejected: {', '.join(trial['reasons'])}"
    console.print(f"{trial['preset']}: {verdict}", markup=False)
