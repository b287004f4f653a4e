"""The command line, run in a process of its own (as users do) or inside the tests' process (where one session serves
many commands)."""

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from swallow_spark import cli


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    status: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON object on one line and nothing else."""
        assert self.status == 0, self.err
        assert self.out.count(b"\n") == 1
        assert self.out.endswith(b"\n")
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line on standard error of a command that was refused; nothing is on standard output."""
        return self._line(2)

    @property
    def busy(self) -> str:
        """The same of a command that found the corpus in use."""
        return self._line(75)

    def _line(self, status: int) -> str:
        assert self.status == status, (self.status, self.err)
        assert self.out == b""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("swallow-spark: ")
        return lines[0]


def call(*arguments: str | Path) -> Ran:
    """A command, in this process."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    err = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    status = ended.value.code
    assert isinstance(status, int)
    return Ran(status, out.buffer.getvalue(), err.getvalue())  # type: ignore[attr-defined]


def command_line(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "swallow_spark.cli", *map(str, arguments)]


def own_environment() -> dict[str, str]:
    """The environment of a program that has nothing to do with the tests' own session."""
    ours = ("PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET", "SPARK_LOCAL_IP")
    return {name: value for name, value in os.environ.items() if name not in ours}


def run(*arguments: str | Path) -> Ran:
    """A command, in a process of its own."""
    done = subprocess.run(
        command_line(*arguments), env=own_environment(), cwd="/", capture_output=True, timeout=300, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr.decode())
