"""A model is loaded once by a worker, however many tasks and batches it scores."""

from pathlib import Path
from typing import Any

import pytest

from swallow_spark.stages import score


def test_a_model_is_loaded_once_by_a_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loads: list[Path] = []

    def load(path: Path) -> Any:
        loads.append(path)
        return object()

    monkeypatch.setattr(score.fasttext, "load", load)
    score._load.cache_clear()
    models = {score._load(tmp_path / name) for _ in range(5) for name in ("wiki.bin", "edu.bin")}
    score._load.cache_clear()
    assert loads == [tmp_path / "wiki.bin", tmp_path / "edu.bin"]
    assert len(models) == 2
