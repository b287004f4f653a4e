"""How commands are declared: the options that they share, and how each is added to the program."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Final, Self

import typer
from rich.console import Console

DEFAULT_CONFIG: Final = "swallow-v2"

app = typer.Typer(
    name="swallow-spark",
    help="Build a Japanese pre-training corpus from Common Crawl, on Spark.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

CorpusOption = Annotated[str, typer.Option("--corpus", metavar="DIR", help="The corpus: a directory or a URI.")]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A configuration file or a packaged one (demo, swallow-v1, swallow-v2). "
        f"Default: that of the corpus's last run, else {DEFAULT_CONFIG}.",
    ),
]
PlainConfigOption = Annotated[
    str, typer.Option("--config", metavar="FILE", help="A configuration file or a packaged one.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override an entry of the configuration; repeatable."),
]
MasterOption = Annotated[
    str | None,
    typer.Option("--master", metavar="URL", help="The cluster. Default: what spark-submit gives, else local[*,4]."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object on standard output.")]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a command that may open a Spark session. Its fields are options of the command (see `command`), and
    it collects what the command prints when it has succeeded."""

    command: str
    config: ConfigOption = None
    overrides: SetOption = None
    master: MasterOption = None
    as_json: JsonOption = False
    result: dict[str, Any] = field(default_factory=dict, init=False)
    """Printed as one JSON object with --json."""
    tables: list[Callable[[Console], None]] = field(default_factory=list, init=False)
    """Printed for people, in this order."""

    def show(self, table: Callable[..., None], *values: Any) -> None:
        """Has `table(console, *values)` printed at the end."""
        self.tables.append(lambda console: table(console, *values))

    def overriding(self, *entries: str) -> Self:
        """The same call with more entries of the configuration overridden (SECTION.KEY=VALUE)."""
        return replace(self, overrides=[*(self.overrides or ()), *entries])

    def on(self, corpus: str) -> "OnCorpus":
        """The same call of a command whose corpus is optional, where one is given."""
        options = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        return OnCorpus(corpus=corpus, **options)


@dataclass(frozen=True, kw_only=True)
class OnCorpus(Call):
    """A call of a command that works on a corpus."""

    corpus: CorpusOption


def command(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds the decorated function to the program, under this name.

    If its first parameter is a Call (or OnCorpus), the fields of that class become options of the command. The rest of
    the signature is as typer reads it.
    """

    def add(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function).parameters.values())
        kind = own[0].annotation if own else None
        if not (isinstance(kind, type) and issubclass(kind, Call)):
            app.command(name)(function)
            return function
        shared = [parameter for parameter in inspect.signature(kind).parameters.values() if parameter.name != "command"]

        def called(**values: Any) -> None:
            function(kind(command=name, **{each.name: values.pop(each.name) for each in shared}), **values)

        # As --help lists them: what must be given, the command's own options, at last those that all commands have.
        of_all = {each.name for each in fields(Call)}
        required = [each for each in shared if each.default is each.empty]
        optional = sorted((each for each in shared if each not in required), key=lambda each: each.name in of_all)
        keywords = [each.replace(kind=each.KEYWORD_ONLY) for each in (*required, *own[1:], *optional)]
        called.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
        called.__annotations__ = {each.name: each.annotation for each in keywords}
        app.command(name, help=inspect.getdoc(function))(called)
        return function

    return add
