"""How commands are declared: the options that they share, and how a command is added to the program."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, get_args

import typer
from typer.core import TyperCommand, TyperGroup

from swallow_spark.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_CONFIG: Final = "swallow-v2"
Group = Literal["Build a corpus", "Plan", "Look at a corpus", "Take text out", "Classifiers", "Single stages", "Upkeep"]
"""Headings of the commands in --help, in their order."""


class _Program(TyperGroup):
    """The program: --help lists its commands by group."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.commands))
        for group in get_args(Group):
            found = {name: one for name, one in self.commands.items() if getattr(one, "rich_help_panel", None) == group}
            texts = {
                name: f"{' '.join((one.help or '').split()).partition('. ')[0].rstrip('.')}."
                for name, one in found.items()
            }
            if texts:
                with formatter.section(group):
                    formatter.write_dl([(f"{name:{width}}", text) for name, text in texts.items()])


class _Command(TyperCommand):
    """A command: its --help ends with an example, in one line, so that it can be copied."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        formatter.write(f"\nExample:\n  {self.epilog}\n")


app = typer.Typer(
    name="swallow-spark",
    cls=_Program,
    help="Build a Japanese pre-training corpus from Common Crawl, on Spark.",
    epilog="First steps: `swallow-spark demo`, then `swallow-spark init my.toml`.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def option(name: str, metavar: str, text: str, **more: Any) -> Any:
    """An option with a value. `text`: its text in --help."""
    return typer.Option(name, metavar=metavar, help=text, **more)


CorpusOption = Annotated[str, option("--corpus", "DIR", "The corpus: a directory or URI.")]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A configuration file or a packaged one (demo, swallow-v1, swallow-v2). "
        f"Default: that of the corpus's last run, otherwise {DEFAULT_CONFIG}.",
    ),
]
PlainConfigOption = Annotated[str, option("--config", "FILE", "A configuration file or a packaged one.")]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Agree that subsets made with another configuration are deleted or replaced.")
]
OverwriteOption = Annotated[bool, typer.Option("--replace", help="Overwrite the file if there is one.")]
SetOption = Annotated[
    list[str] | None, option("--set", "SECTION.KEY=VALUE", "Override a configuration key; repeatable.")
]
MasterOption = Annotated[
    str | None, option("--master", "URL", "Spark master. Default: that of spark-submit, otherwise local[*,4].")
]


def tell(line: str) -> None:
    """Prints a line for people, at once."""
    typer.echo(line, err=True)


JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on standard output.")]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a command that may open a Spark session. Its fields are options of the command (see `command`). It
    collects what the command prints once it has succeeded."""

    command: str
    config: ConfigOption = None
    overrides: SetOption = None
    master: MasterOption = None
    as_json: JsonOption = False
    result: dict[str, Any] = field(default_factory=dict, init=False)
    """Printed as one JSON object with --json."""
    tables: list[Callable[["Console"], None]] = field(default_factory=list, init=False)
    """Printed for people without --json, in this order."""

    def show(self, table: Callable[..., None], *values: Any) -> None:
        """Prints `table(console, *values)` at the end."""
        self.tables.append(lambda console: table(console, *values))

    def overriding(self, *entries: str) -> Self:
        """The same call with further overrides (SECTION.KEY=VALUE)."""
        return replace(self, overrides=[*(self.overrides or ()), *entries])

    def on(self, corpus: str) -> "OnCorpus":
        """The same call on a corpus, for commands whose --corpus is optional."""
        options = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        return OnCorpus(corpus=corpus, **options)


@dataclass(frozen=True, kw_only=True)
class OnCorpus(Call):
    """A call of a command that works on a corpus."""

    corpus: CorpusOption


def refuse_existing(name: str, path: str | Path, overwrite: bool) -> None:
    """Raises UsageError if the file of an option exists, unless the user agrees that it goes."""
    if not overwrite and Path(path).exists():
        raise UsageError(f"{name} {path}: exists already: give another file, or --replace to overwrite this one")


def command(
    name: str, group: Group, example: str = "", *, to: typer.Typer = app
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds the decorated function to the program. If its first parameter is a Call (or OnCorpus), the fields of that
    class become options of the command; typer reads the rest of the signature.

    example: arguments of a call that `--help` shows. to: the program, or a command that has commands of its own.
    """
    path = "swallow-spark " if to is app else f"swallow-spark {to.info.name} "
    shown: dict[str, Any] = {"cls": _Command, "rich_help_panel": group, "epilog": f"{path}{name} {example}".strip()}

    def add(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function).parameters.values())
        kind = own[0].annotation if own else None
        if not (isinstance(kind, type) and issubclass(kind, Call)):
            to.command(name, **shown)(function)
            return function
        shared = [parameter for parameter in inspect.signature(kind).parameters.values() if parameter.name != "command"]

        def called(**values: Any) -> None:
            function(kind(command=name, **{each.name: values.pop(each.name) for each in shared}), **values)

        # The order in --help: required options, the command's own, then those that all commands share.
        of_all = {each.name for each in fields(Call)}
        required = [each for each in shared if each.default is each.empty]
        optional = sorted((each for each in shared if each not in required), key=lambda each: each.name in of_all)
        keywords = [each.replace(kind=each.KEYWORD_ONLY) for each in (*required, *own[1:], *optional)]
        called.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
        called.__annotations__ = {each.name: each.annotation for each in keywords}
        to.command(name, help=inspect.getdoc(function), **shown)(called)
        return function

    return add
