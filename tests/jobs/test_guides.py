"""Guides with Python in them: each block of a page runs after those before it, and prints what the page shows."""

import ast
import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
from commands import REPOSITORY
from pyspark.sql import SparkSession

GUIDES = REPOSITORY / "docs" / "guides"
_BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)


def output(source: str, names: dict[str, Any]) -> str:
    """What a block prints, and the value of its last expression, as in a notebook."""
    module = ast.parse(source)
    last = module.body.pop() if isinstance(module.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(module, "guide", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "guide", "eval"), names)
            if value is not None:
                print(repr(value))
    return printed.getvalue()


@pytest.mark.parametrize("guide", ["python.md"])
def test_a_guide_does_what_it_shows(
    spark: SparkSession, guide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for directory in ("demo", "conf"):
        (tmp_path / directory).symlink_to(REPOSITORY / directory)
    monkeypatch.chdir(tmp_path)
    blocks = _BLOCK.findall((GUIDES / guide).read_text(encoding="utf-8"))
    assert blocks
    names: dict[str, Any] = {}
    for source, shown in blocks:
        assert output(source, names) == shown, source
