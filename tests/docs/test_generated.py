"""The reference pages say what the code says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pyarrow as pa

from swallow_spark import tables
from swallow_spark.config.load import Config
from swallow_spark.kernels import features

DOCS = Path(__file__).resolve().parents[2] / "docs"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_page_is_stale() -> None:
    assert [str(path) for path in generator().stale()] == [], "run `make reference`"


def test_every_key_of_the_configuration_has_a_meaning() -> None:
    generate = generator()
    silent = []

    def look(name: str, annotation: object) -> None:
        if section := generate._section_of(annotation):
            for key, field in section.model_fields.items():
                if not field.description:
                    silent.append(f"{name}.{key}")
                look(f"{name}.{key}", field.annotation)

    for name, field in Config.model_fields.items():
        look(name, field.annotation)
    assert silent == []


def test_every_table_and_column_has_a_meaning() -> None:
    schemas = [value for value in vars(tables).values() if isinstance(value, pa.Schema)]
    assert [table.schema for table in tables.TABLES.values()] == schemas
    for name, table in tables.TABLES.items():
        assert all(table.meanings[field.name] for field in table.schema), name


def test_every_feature_has_a_meaning() -> None:
    for feature in features.FEATURES:
        assert list(feature.meanings) == feature.schema.names, feature.name
