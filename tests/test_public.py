"""What `import swallow_spark` gives, without Spark: cheap to import, typed, and on plain Python values or Arrow."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from mypy import api as mypy

import swallow_spark as sw
from swallow_spark.kernels import features, minhash
from swallow_spark.kernels.fasttext import load

MODEL = Path(__file__).parents[1] / "conf" / "models" / "demo-edu.ftz"
TEXTS = ["東京は日本の首都です。", None, "", "short", "みかんは日当たりのよい斜面でよく育ちます。"]
AS_TEXTS: dict[str, Callable[[], Any]] = {
    "a list": lambda: TEXTS,
    "an iterator": lambda: iter(TEXTS),
    "string": lambda: pa.array(TEXTS, pa.string()),
    "large_string": lambda: pa.array(TEXTS, pa.large_string()),
    "string_view": lambda: pa.array(TEXTS, pa.string_view()),
    "a slice": lambda: pa.array(["before", *TEXTS])[1:],
    "dictionary": lambda: pa.array(TEXTS).dictionary_encode(),
    "chunks": lambda: pa.chunked_array([TEXTS[:2], TEXTS[2:]]),
    "polars": lambda: pl.Series(TEXTS),
}


def python(code: str) -> str:
    """What a process of its own prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_import_loads_nothing_heavy() -> None:
    heavy = "{'pyspark', 'numba', 'numpy', 'pyarrow', 'pandas', 'pydantic', 'duckdb', 'polars'} & {*sys.modules}"
    assert python(f"import sys, swallow_spark as sw; dir(sw); print({heavy})") == "set()\n"


def test_kernels_need_no_spark() -> None:
    code = (
        "import sys, swallow_spark as sw; sw.is_japanese('あ'); sw.signatures(['あ']); print('pyspark' in sys.modules)"
    )
    assert python(code) == "False\n"


def test_where_numba_keeps_its_files_is_chosen_before_it_is_imported() -> None:
    """In executors too, which import kernels alone."""
    code = (
        "import sys, swallow_spark.session.compiled as c; assert 'numba' not in sys.modules\n"
        "import swallow_spark.kernels.lsh; print('pyspark' in sys.modules)"
    )
    assert python(code) == "False\n"


def test_all_public_names_are_there() -> None:
    assert {*sw.__all__} <= {*dir(sw)}
    for name in sw.__all__:
        assert getattr(sw, name) is not None, name
    with pytest.raises(AttributeError, match="no attribute 'clean'"):
        sw.clean  # type: ignore[attr-defined]  # noqa: B018


def test_users_programs_are_checked_by_their_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPYPATH", "")
    program = tmp_path / "program.py"
    program.write_text(
        "import swallow_spark as sw\n"
        "reveal_type(sw.open('corpus').tables)\n"
        "reveal_type(sw.open('corpus').duckdb('pages'))\n"
        "reveal_type(sw.extract(b'').text)\n"
        "reveal_type(sw.build('corpus', ['a.warc'], config='demo'))\n"
        "sw.is_japanese(1)\n"
        "sw.nothing\n"
    )
    cache = os.fspath(Path(__file__).parents[1] / ".mypy_cache")
    out, _, _ = mypy.run(["--strict", "--no-error-summary", "--cache-dir", cache, str(program)])
    found = [line.partition(".py:")[2] for line in out.splitlines()]
    revealed = ["list[str]", "DuckDBPyRelation", "str", "dict[str, Any]"]
    assert [line.rpartition('"')[0].rpartition('"')[2].rpartition(".")[2] for line in found[:4]] == revealed
    assert found[4].startswith('6: error: Argument 1 to "is_japanese"')
    assert found[5].startswith('7: error: Module has no attribute "nothing"')
    assert Path(sw.__file__).with_name("py.typed").exists()  # or checkers take no types from an installed package


@pytest.mark.parametrize("given", AS_TEXTS)
def test_texts_may_be_python_s_or_arrow_s(given: str) -> None:
    texts, array = AS_TEXTS[given], pa.array(TEXTS)
    assert np.array_equal(sw.signatures(texts(), num_perm=64), minhash.signatures(array, num_perm=64))
    assert sw.measure(texts()).equals(features.measure(array))
    classifier, model = sw.load_classifier(MODEL), load(MODEL)
    assert np.array_equal(classifier.probabilities(texts()), model.probabilities(array))
    assert classifier.labels == list(model.labels)


def test_no_texts() -> None:
    assert sw.signatures([]).shape == (0, 800)
    assert sw.measure([]).num_rows == 0
    assert sw.measure(pa.chunked_array([], pa.string())).num_rows == 0


@pytest.mark.parametrize("wrong", ["one text", b"bytes", [1], pa.array([1]), pa.array([b"bytes"])])
def test_what_is_no_text_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="needed"):
        sw.measure(wrong)


def test_groups_of_features() -> None:
    group = features.GROUPS[0]
    column = next(name for name in features.SCHEMA.names if features.group_of(name) == group)
    assert sw.measure(["text"])[column].null_count == 1
    assert sw.measure(["text"], groups=[group])[column].null_count == 0


def test_a_page_as_bytes_and_decoded() -> None:
    html = "<meta charset=shift_jis><title>題名</title><p>みかんは日当たりのよい斜面でよく育ちます。\ud800</p>"
    page = sw.extract(html)
    assert (page.title, page.text) == ("題名", "みかんは日当たりのよい斜面でよく育ちます。?")
    response = html.replace("\ud800", "?").encode("cp932")
    assert sw.extract(response, "text/html; charset=shift_jis")[:2] == page[:2]


def test_is_japanese() -> None:
    assert sw.is_japanese("東京は日本の首都です。")
    assert not sw.is_japanese("Tokyo is the capital of Japan.")


def test_a_classifier_that_can_t_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"no model")
    for path in (tmp_path / "none.bin", tmp_path / "model.bin"):
        with pytest.raises(sw.ModelError, match=path.name):
            sw.load_classifier(path)
