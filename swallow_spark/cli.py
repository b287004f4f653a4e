"""The program `swallow-spark`, which `jobs/*.py` call too, with the same arguments.

Results for programs (`--json`) go to standard output, everything for people to standard error. Exit status: 0 done,
1 the run failed, 2 wrong usage or configuration, found before any work starts, 75 another run uses the corpus, 130
stopped.
"""

import io
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib import import_module
from threading import Event
from typing import Annotated, Any, Final

import typer

from swallow_spark import __version__, commands
from swallow_spark.commands.options import app
from swallow_spark.errors import SwallowSparkError, one_line, printable, root_cause
from swallow_spark.session.signals import stopped_by_signals

with commands.on_first_use():
    from swallow_spark.session import session


def load_commands() -> None:
    """Imports the modules in commands/, which add their commands to `app`; the stages come first in --help."""
    first = f"{commands.__name__}.stages"
    names = (module.name for module in pkgutil.walk_packages(commands.__path__, f"{commands.__name__}."))
    for name in sorted(names, key=lambda name: (name != first, name)):
        import_module(name)


load_commands()


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"swallow-spark {__version__}")
        raise typer.Exit


_STOPPED: Final = 130
_WrongCall: Any = typer.BadParameter.__base__  # base of all usage errors; newer typers bundle their own click


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program. An error becomes one line on standard error and an exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an encoding without Japanese, as in the locale C: escapes, no error
            stream.reconfigure(errors="backslashreplace")
    with stopped_by_signals() as stopped:
        status = _run(list(sys.argv[1:] if arguments is None else arguments), stopped)
    sys.exit(status)


def _run(arguments: list[str], stopped: Event) -> int:
    try:
        status = _call(arguments, stopped)
    except _WrongCall as error:
        command = error.ctx.command_path if error.ctx else "swallow-spark"
        status = _complain(f"{error.format_message()} (see `{command} --help`)", 2)
    except SwallowSparkError as error:
        status = _complain(str(error), error.exit_status)
    except KeyboardInterrupt:
        status = _complain("stopped; run the same command again to continue", _STOPPED)
    except Exception as error:  # noqa: BLE001 - last resort: Spark raises many types
        status = _complain(root_cause(error), 1)
    return status or 0


def _call(arguments: list[str], stopped: Event) -> int | None:
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        session.check_arguments(arguments)
    try:
        status: int | None = app(arguments or ["--help"], prog_name="swallow-spark", standalone_mode=False)
    except Exception as error:
        if stopped.is_set():  # Spark's JVM got the signal too: clean-up then fails with other errors
            raise KeyboardInterrupt from error
        raise
    if status == _STOPPED:  # newer typers catch KeyboardInterrupt themselves
        raise KeyboardInterrupt
    return status


def _complain(message: str, status: int) -> int:
    print(f"swallow-spark: {printable(one_line(message))}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
