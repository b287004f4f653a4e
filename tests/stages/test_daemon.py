"""The process that workers are forked from. It changes the path when it is imported, so this happens elsewhere."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

_PROGRAM = """
import json, sys
from swallow_spark.stages import daemon
print(json.dumps([daemon.in_order(path) for path in json.loads(sys.argv[1])]))
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A directory with PySpark 4.1.0, and Spark's zips of that version and another."""
    package = tmp_path / "installed" / "pyspark"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "version.py").write_text('__version__ = "4.1.0"')
    for version in ("4.1.0", "4.1.1"):
        directory = tmp_path / version
        directory.mkdir()
        with zipfile.ZipFile(directory / "pyspark.zip", "w") as spark:
            spark.writestr("pyspark/__init__.py", "")
            spark.writestr("pyspark/version.py", f'__version__ = "{version}"')
    return package.parent


def test_sparks_zips_come_last_if_the_same_pyspark_is_installed(installed: Path) -> None:
    same, other = (str(installed.parent / version / "pyspark.zip") for version in ("4.1.0", "4.1.1"))
    py4j, own, place = "/spark/python/lib/py4j-0.10.9.9-src.zip", "/container/own.zip", str(installed)
    paths = [[same, py4j, own, place], [other, py4j, own, place], [same, py4j, own], [own, place]]
    ran = subprocess.run([sys.executable, "-c", _PROGRAM, json.dumps(paths)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [[own, place, same, py4j], *paths[1:]]
