"""The model card of a trained classifier, JSON and Markdown: training data, parameters and measures."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

from swallow_spark.training.examples import Examples

MAX_SOURCES: Final = 40
DEMONSTRATION: Final = (
    "This is a demonstration model. It shows how the pipeline works; its scores say little about the quality of a text."
)


def write_card(
    model: Path, summary: dict[str, Any], examples: Examples, libraries: dict[str, str], demonstration: bool
) -> list[Path]:
    """Writes MODEL.card.json and MODEL.card.md; returns their paths.

    Lists the 40 most frequent sources, cut at the first ": " ("Wikipedia: title" counts as Wikipedia). The same
    training gives the same bytes: the card holds no times, and no paths but the model's name.
    """
    card = {
        "model": model.name,
        "task": summary["task"],
        "demonstration": demonstration,
        "sha256": summary["sha256"],
        "bytes": summary["bytes"],
        "parameters": summary["parameters"],
        "libraries": libraries,
        "training_examples": summary["examples"],
        "held_out_examples": summary["held_out_examples"],
        "sources": _count(source.split(": ", 1)[0] for source in examples.sources),
        "licenses": _count(examples.licenses),
        "labelled_by": _count(labeller for labeller in examples.labellers if labeller),
        "metrics": summary["metrics"],
    }
    as_json, as_markdown = (model.with_name(f"{model.name}.card.{suffix}") for suffix in ("json", "md"))
    as_json.write_text(json.dumps(card, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    as_markdown.write_text(_markdown(card), encoding="utf-8")
    return [as_json, as_markdown]


def _count(values: Any) -> dict[str, int]:
    counts = Counter(values)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_SOURCES])


def _table(head: tuple[str, str], rows: dict[str, Any]) -> list[str]:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    return lines + [f"| {_cell(key)} | {_cell(value)} |" for key, value in rows.items()]


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _markdown(card: dict[str, Any]) -> str:
    lines = [f"# {card['model']}", "", f"fastText classifier for the task `{card['task']}` of swallow-spark."]
    if card["demonstration"]:
        lines += ["", DEMONSTRATION]
    lines += ["", f"sha256 `{card['sha256']}`, {card['bytes']} bytes", "", "## Examples", ""]
    lines += ["| class | training | share | held out |", "|---|---|---|---|"]
    total = sum(card["training_examples"].values())
    for name, number in card["training_examples"].items():
        lines.append(f"| {name} | {number} | {number / total:.1%} | {card['held_out_examples'][name]} |")
    if card["labelled_by"]:
        lines += ["", "## Labelled by", "", *_table(("model and prompt", "documents"), card["labelled_by"])]
    lines += ["", "## Sources", "", *_table(("source", "documents"), card["sources"])]
    lines += ["", "## Licences of the examples", "", *_table(("licence", "documents"), card["licenses"])]
    lines += ["", "## Parameters", "", *_table(("parameter", "value"), card["parameters"] | card["libraries"])]
    lines += ["", "## Measures on the held-out examples", ""]
    metrics = card["metrics"]
    if metrics is None:
        return "\n".join([*lines, "No examples were held out.", ""])
    lines += _table(("measure", "value"), {k: v for k, v in metrics.items() if not isinstance(v, list | dict)})
    lines += ["", "Confusion (rows: true class, columns: predicted class):", ""]
    lines += ["| | " + " | ".join(metrics["labels"]) + " |", "|---" * (len(metrics["labels"]) + 1) + "|"]
    for label, row in zip(metrics["labels"], metrics["confusion"], strict=True):
        lines.append(f"| {label} | " + " | ".join(map(str, row)) + " |")
    found = metrics["calibration"]
    lines += ["", f"Calibration (expected error {found['expected_error']:.4g}):", ""]
    lines += ["| probability of the predicted class | documents | its mean | accuracy |", "|---|---|---|---|"]
    for row in found["bins"]:
        bounds = f"{row['low']:.1f} to {row['high']:.1f}"
        lines.append(f"| {bounds} | {row['documents']} | {row['confidence']:.3f} | {row['accuracy']:.3f} |")
    return "\n".join([*lines, ""])
