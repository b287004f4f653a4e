"""What the documentation tells readers to type exists: modules, configuration keys, commands and options."""

import importlib
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from places import REPOSITORY

from swallow_spark.cli import app
from swallow_spark.config.load import Config, _keys_at

PAGES = ["README.md", *sorted(str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("docs/**/*.md"))]
COMMANDS: Any = typer.main.get_command(app)


def blocks(page: str, language: str) -> Iterator[str]:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    return (found[1] for found in re.finditer(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("page", PAGES)
def test_what_examples_import_is_there(page: str) -> None:
    for block in blocks(page, "python"):
        for module, names in re.findall(r"^(?:>>> )?from (swallow_spark[\w.]*) import (.+)$", block, re.MULTILINE):
            there = importlib.import_module(module)
            for name in names.split(", "):
                assert hasattr(there, name) or importlib.import_module(f"{module}.{name}"), f"{module}.{name}"


def keys_of(values: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in values.items():
        yield place, key
        entries = value if isinstance(value, list) else [value]
        for entry in entries:
            if isinstance(entry, dict):
                yield from keys_of(entry, (*place, key))


@pytest.mark.parametrize("page", PAGES)
def test_the_keys_of_examples_are_keys_of_the_configuration(page: str) -> None:
    named_by_the_user = {("classifiers",), ("rules", "bounds"), ("selection", "thresholds"), ("spark",)}
    for block in blocks(page, "toml"):
        for place, key in keys_of(tomllib.loads(block)):
            sections = {place[:n] for n in range(1, len(place) + 1)}
            if not (sections & named_by_the_user) and key != "extends" and place[-1:] not in [("weights",), ("ranks",)]:
                allowed = _keys_at(place) if place else list(Config.model_fields)
                assert key in allowed, f"{'.'.join(place)}: {key}"


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_examples_take_these_options(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8").replace("\\\n", " ")
    for name, rest in re.findall(r"swallow-spark ([a-z][a-z-]*)((?: [^\n`]*)?)", text):
        if name not in COMMANDS.commands:
            assert not re.match(r" --", rest), f"no command {name}"
            continue
        command = COMMANDS.commands[name]
        options = [
            parameter for inner in getattr(command, "commands", {"": command}).values() for parameter in inner.params
        ]
        known = {option for parameter in options for option in (*parameter.opts, *parameter.secondary_opts)}
        assert set(re.findall(r"(?<= )--[a-z-]+", rest.partition(" #")[0])) <= known, f"{name}{rest}"
