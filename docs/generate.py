"""Makes the pages of docs/reference that follow from code: configuration, commands, tables, features.

`python docs/generate.py` writes them, `python docs/generate.py --check` fails where one is stale.
"""

import inspect
import json
import sys
import textwrap
import types
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from swallow_spark.cli import app
from swallow_spark.config.load import Config, load
from swallow_spark.config.section import Listing, Section
from swallow_spark.kernels.features import FEATURES
from swallow_spark.pipeline import STAGES
from swallow_spark.tables import TABLES

DIRECTORY = Path(__file__).parent / "reference"
NOTICE = "<!-- Made by docs/generate.py: change the code instead, and run it again (`make reference`). -->"


def pages() -> dict[Path, str]:
    """Each generated page with its content."""
    made = {"configuration": configuration(), "commands": commands(), "tables": tables(), "features": features()}
    return {DIRECTORY / f"{name}.md": f"{NOTICE}\n\n" + "\n".join(lines) + "\n" for name, lines in made.items()}


def stale() -> list[Path]:
    """The generated pages whose files are missing or say something else."""
    return [path for path, content in pages().items() if not path.is_file() or path.read_text("utf-8") != content]


def paragraph(text: str) -> list[str]:
    return [*_wrapped(text), ""]


def item(text: str) -> list[str]:
    return _wrapped(text, "- ", "  ")


def _wrapped(text: str, first: str = "", others: str = "") -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        width=118,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


# ---- configuration


def configuration() -> list[str]:
    return [
        "# Configuration",
        "",
        *paragraph(
            "A configuration is a TOML file, or the name of a packaged one: `swallow-v2` (the default), `swallow-v1`, "
            '`demo`. `extends = "NAME"` takes another file or packaged configuration as its base: tables are merged '
            "key by key, lists are replaced. `--set section.key=value` overrides one entry. Relative paths are "
            "relative to the file that names them. Unknown keys and values out of range are errors before any work "
            "starts."
        ),
        *paragraph('A key marked "changes no row" is in no fingerprint: with another value nothing is computed again.'),
        *(line for name, field in Config.model_fields.items() for line in _section(name, field)),
    ]


def _section(name: str, field: FieldInfo) -> Iterator[str]:
    section, pattern = _section_of(field.annotation), _pattern(name, field.annotation)
    yield f"## `{pattern}`"
    yield ""
    if section is None:
        yield from item(f"**`{name}`** ({_kind(field.annotation)}): {field.description}")
        yield ""
        return
    yield from paragraph(inspect.getdoc(section) or "")
    nested = []
    for key, value in section.model_fields.items():
        inner = _section_of(value.annotation)
        if inner:
            nested.append((f"{name}.{key}", value))
        no_row = name in Config.meaningless or key in section.meaningless
        yield from item(f"**`{key}`** ({_facts(value, no_row)}): {value.description}")
    yield ""
    for key, value in nested:
        yield from _section(key, value)


def _pattern(name: str, annotation: Any) -> str:
    """How a section's heading is written in TOML."""
    origin = get_origin(_bare(annotation))
    placeholder = {"rules.bounds": "FEATURE", "spark": ""}.get(name, "NAME")
    if origin is dict and placeholder:
        return f"[{name}.{placeholder}]"
    return f"[[{name}]]" if origin is tuple else f"[{name}]"


def _facts(field: FieldInfo, no_row: bool) -> str:
    facts = [_kind(field.annotation)]
    facts += _range([*field.metadata, *_metadata(field.annotation)])
    if field.is_required():
        facts.append("required")
    else:
        facts.append(f"default: {_value(field.default)}")
    return "; ".join(facts + ["changes no row"] * no_row)


def _value(value: Any) -> str:
    if value is None or value is PydanticUndefined:
        return "not set"
    if isinstance(value, Section):
        return "as below"
    shown = json.dumps(value, ensure_ascii=False)
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if isinstance(value, int) and value >= 1 << 16 and value % unit == 0:
            return f"`{shown}`, {value // unit} {name}"
    return f"`{shown}`"


def _range(metadata: list[Any]) -> list[str]:
    keys = ("ge", "gt", "le", "min_length", "pattern")
    at = {key: getattr(m, key) for m in metadata for key in keys if getattr(m, key, None) is not None}
    low = f"{at['ge']:g}" if "ge" in at else f"above {at['gt']:g}" if "gt" in at else None
    found = [f"{low} to {at['le']}" if "le" in at else low if "gt" in at else f"at least {low}"] if low else []
    found += [f"at least {at['min_length']} of them"] if "min_length" in at else []
    return found + ([f"pattern `{at['pattern']}`"] if "pattern" in at else [])


def _metadata(annotation: Any) -> Iterator[Any]:
    """What Annotated says of a value, below None and the like but not of a container's entries."""
    if get_origin(annotation) is Annotated:
        inner, *found = get_args(annotation)
        for one in found:
            yield from one.metadata if isinstance(one, FieldInfo) else [one]
        yield from _metadata(inner)
    elif get_origin(annotation) in (Union, types.UnionType):
        for inner in get_args(annotation):
            yield from _metadata(inner)


def _bare(annotation: Any) -> Any:
    """Without None and Annotated."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        others = [inner for inner in get_args(annotation) if inner is not type(None)]
        return _bare(others[0]) if len(others) == 1 else annotation
    return annotation


def _kind(annotation: Any) -> str:
    bare = _bare(annotation)
    origin, arguments = get_origin(bare), get_args(bare)
    if origin is Literal:
        return ", ".join(f'`"{value}"`' for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_kind(inner) for inner in arguments))
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"table, each value: {_kind(arguments[1])}"
    if isinstance(bare, type) and issubclass(bare, Section):
        return "table"
    names = {int: "integer", float: "number", bool: "`true` or `false`", str: "string", Path: "path"}
    return "path or URL" if bare is Listing else names[bare]


def _section_of(annotation: Any) -> type[Section] | None:
    bare = _bare(annotation)
    if isinstance(bare, type) and issubclass(bare, Section):
        return bare
    return next(filter(None, map(_section_of, get_args(bare))), None) if get_origin(bare) in (dict, tuple) else None


# ---- commands


def commands() -> list[str]:
    found = _leaves(typer.main.get_command(app), "")
    uses = Counter(_option(parameter) for _, command in found for parameter in command.params if _named(parameter))
    shared = {text: number for text, number in uses.items() if number >= 5}
    lines = [
        "# Commands",
        "",
        *paragraph(
            "`swallow-spark COMMAND …`, or `spark-submit … jobs/COMMAND.py …` with the same arguments. Exit status: 0 "
            "done, 1 the run failed (the same command again resumes it), 2 wrong call or configuration, found before "
            "any work starts, 75 another run uses the corpus (try again later), 130 stopped. Results for programs go "
            "to standard output (`--json`), everything for people to standard error."
        ),
        "## Options of many commands",
        "",
        *(line for text in shared for line in item(text)),
        "",
        *paragraph(
            f"Stages for `--until`: {', '.join(STAGES.ends)}. For `discard --stage`: {', '.join(STAGES.discardable)}."
        ),
    ]
    for name, command in found:
        lines += [f"## {name}", "", *paragraph(_literally(command.help or ""))]
        lines += ["```", command.epilog, "```", ""]
        own = [_option(p) for p in command.params if _option(p) not in shared]
        also = [f"`{p.opts[0]}`" for p in command.params if _option(p) in shared]
        lines += [line for text in own for line in item(text)]
        lines += [""] * bool(own)
        lines += paragraph(f"Also {', '.join(also)}.") if also else []
    return lines[:-1]


def _leaves(command: Any, name: str) -> list[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if not inner:
        return [(name, command)]
    return [leaf for key in sorted(inner) for leaf in _leaves(inner[key], f"{name} {key}".strip())]


def _named(parameter: Any) -> bool:
    return str(parameter.opts[0]).startswith("-")


def _option(parameter: Any) -> str:
    flag = getattr(parameter, "is_flag", False)
    if _named(parameter):
        names = "/".join([*parameter.opts, *parameter.secondary_opts])
        shown = names if flag else f"{names} {parameter.metavar or 'VALUE'}"
    else:
        shown = parameter.metavar or parameter.name.upper()
    facts = []
    if parameter.required and _named(parameter):
        facts.append("required")
    default = getattr(parameter.default, "value", parameter.default)
    if default not in (None, False, ()) and not callable(default):
        facts.append(f"default: `{default}`")
    return f"**`{shown}`**{' (' * bool(facts)}{', '.join(facts)}{')' * bool(facts)}: {_literally(parameter.help)}"


def _literally(text: str) -> str:
    """Help as Markdown: what is in backquotes is code, an asterisk is an asterisk."""
    parts = text.split("`")
    return "`".join(part if number % 2 else part.replace("*", "\\*") for number, part in enumerate(parts))


# ---- tables and features


def tables() -> list[str]:
    lines = [
        "# Tables",
        "",
        *paragraph(
            "Parquet (zstd). Read only files that a manifest lists: [corpus.md](corpus.md) describes the directory, "
            'the manifests, and how to read a table. Columns may be null only where this page says "or null".'
        ),
    ]
    for name, table in TABLES.items():
        lines += [f"## {name}", "", *paragraph(table.rows)]
        for field in table.schema:
            kind = f"{field.type}".replace("item: ", "").replace("double", "float64") + " or null" * field.nullable
            lines += item(f"**`{field.name}`** ({kind}): {table.meanings[field.name]}")
        lines.append("")
        if name == "sketches":
            lines += [
                "## features",
                "",
                *paragraph(
                    "One row for each page: `doc_id`, `host` and `num_chars` as in `pages`, so that rules and sums "
                    "need no text, and one column for each [feature](features.md)."
                ),
            ]
    return lines[:-1]


def features() -> list[str]:
    lines = [
        "# Features",
        "",
        *paragraph(
            "Numbers that are measured on a page's text; the table `features` has a column for each. Lengths are in "
            "code points. Fractions are from 0 to 1, and 0 if the denominator is 0. What letters, sentences and "
            "paragraphs are is defined in [the guide to rules](../guides/rules.md#definitions)."
        ),
        *paragraph("Below each feature: which of the packaged presets reject a page by it, and when."),
    ]
    presets = {name: load(name).rules.bounds for name in ("swallow-v1", "swallow-v2")}
    for feature in FEATURES:
        group = f", group `{feature.group}` of `features.groups`" if feature.group else ""
        lines += [f"## {feature.name}", "", *paragraph(f"Version {feature.version}{group}.")]
        for field in feature.schema:
            kind = f"{field.type}".replace("double", "float64") + " or null" * field.nullable
            lines += item(f"**`{field.name}`** ({kind}): {feature.meanings[field.name]}")
            for preset, bounds in presets.items():
                if bound := bounds.get(field.name):
                    signs = (("<", bound.min), (">", bound.max), ("≥", bound.below))
                    said = " or ".join(f"{sign} {value:g}" for sign, value in signs if value is not None)
                    lines.append(f"    - {preset}: {said}")
        lines.append("")
    return lines[:-1]


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        for path in stale():
            print(f"{path}: stale; run python docs/generate.py", file=sys.stderr)
        return len(stale())
    for path, content in pages().items():
        path.write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
