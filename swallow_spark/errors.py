"""Exceptions, by what the user must do about them. The command line turns each into one line and an exit status."""


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


class CorpusError(UsageError):
    """A corpus directory that can't be used as asked: not writable, locked by another run, of another configuration."""


class LedgerError(SwallowSparkError):
    """The records read are not the sum of pages, records passed over and failures: a bug, and the run stops."""


class ModelError(UsageError):
    """A model file that is missing, cut, corrupt or not of the kind expected."""
