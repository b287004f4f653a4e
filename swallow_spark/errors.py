"""Exceptions, by what the user must do about them. The command line turns each into one line and an exit status."""

import re

from pydantic import ValidationError


class SwallowSparkError(Exception):
    """Anything that the command line reports in one line, without a traceback. Exit status 1: the run failed."""

    exit_status = 1


class UsageError(SwallowSparkError):
    """Wrong usage or configuration, found before any work starts. Exit status 2: correct the call and run it again."""

    exit_status = 2


class ConfigError(UsageError):
    """A key, value or model in the configuration that can't be used; names the key, the file and what is allowed."""


class InputError(UsageError):
    """An INPUT that matches nothing or can't be read."""


class ChangedError(InputError):
    """An INPUT whose bytes are no longer those that were registered, or that were read before."""


class CorpusError(UsageError):
    """A corpus directory that can't be used as asked: not writable, locked by another run, of another configuration."""


class LedgerError(SwallowSparkError):
    """The records read are not the sum of pages, records passed over and failures: a bug, and the run stops."""


class ModelError(UsageError):
    """A model file that is missing, cut, corrupt or not of the kind expected."""


def printable(text: str) -> str:
    """Text for a terminal or a log: control characters, which URLs and titles of pages may hold, are escaped."""
    return "".join(c if c.isprintable() or c in "\n\u3000" else c.encode("unicode_escape").decode() for c in text)


def root_cause(error: Exception) -> str:
    """What went wrong, in one line: of a failed task, the last line of the innermost Python traceback."""
    if isinstance(error, ValidationError):
        return f"{error}"
    lines = [line.strip() for line in str(error).splitlines()]
    causes = [line for line in lines if re.match(r"([\w.]+(Error|Exception|Full|Exit)\b|Caused by:)", line)]
    kind = type(error).__name__
    return f"{causes[-1].removeprefix('Caused by:').strip() if causes else lines[0] if lines else kind} ({kind})"
