"""A configuration of one's own, made from a few answers."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from swallow_spark.commands.options import command, option
from swallow_spark.errors import UsageError

_RELEASED: Final = "https://huggingface.co/tokyotech-llm/edu-classifier"
_CLASSIFIERS: Final = {
    "wiki": f"""\
# How much a page is like Japanese Wikipedia's articles in academic categories: 0 to 1. Licence: CC BY-SA 4.0.
[classifiers.wiki]
path = "{_RELEASED}/resolve/main/wiki.bin"
weights = {{ __label__pos = 1 }}
""",
    "edu": f"""\
# How educational a page is, 0 to 3, learnt from the answers of Llama 3.1. Licence: Llama 3.1 Community License.
[classifiers.edu]
path = "{_RELEASED}/resolve/main/llm_llama.bin"
weights = {{ __label__0 = 0, __label__1 = 1, __label__2 = 2, __label__3 = 3 }}
""",
}
"""The models of Swallow Corpus v2, as published."""
_RULES: Final = ("swallow-v2", "swallow-v1")
_NONE: Final = "none"


def _rules(name: str | None) -> str | None:
    if name not in (None, *_RULES):
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(_RULES)}.")
    return name


def _names(text: str | None) -> str | None:
    if text is not None and not {*text.split(",")} <= {*_CLASSIFIERS} and text != _NONE:
        raise typer.BadParameter(f"{text!r}: give {', '.join(_CLASSIFIERS)} with commas between, or {_NONE}.")
    return text


@command("init", "Build a corpus", "my.toml")
def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The configuration to write.")] = Path("my.toml"),
    rules: Annotated[
        str | None, option("--rules", "|".join(_RULES), "The rules to start from.", callback=_rules)
    ] = None,
    classifiers: Annotated[
        str | None,
        option("--classifiers", "wiki,edu|none", "Swallow's released classifiers that rank pages.", callback=_names),
    ] = None,
    top: Annotated[
        int | None, option("--top", "PERCENT", "The best of the accepted pages that become a subset.", min=1, max=100)
    ] = None,
) -> None:
    """Write a commented configuration to change and build with. On a terminal it asks for what no option gives;
    elsewhere it takes swallow-v2, both classifiers, and the best 10 percent."""
    if file.exists():
        raise UsageError(f"{file}: exists already; give another name, or delete it first")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"{file}: there is no directory {file.absolute().parent}")
    asks = sys.stdin.isatty() and sys.stderr.isatty()
    if rules is None:
        rules = _ask("Rules to start from (swallow-v2, swallow-v1)", _RULES[0], _rules) if asks else _RULES[0]
    if classifiers is None:
        both = ",".join(_CLASSIFIERS)
        question = "Rank pages by Swallow's classifiers (wiki, edu, wiki,edu, or none)"
        classifiers = _ask(question, both, _names) if asks else both
    names = [name for name in _CLASSIFIERS if name in classifiers.split(",")]
    if top is None:
        top = typer.prompt("Best percent of the accepted pages", 10, type=int, err=True) if asks and names else 10
        if not 1 <= top <= 100:
            raise UsageError(f"{top}: a percentage is 1 to 100")
    try:
        file.write_text(_text(rules, names, top), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file}: can't be written: {error.strerror}") from None
    typer.echo(
        f"""{file}: written. Next:
  swallow-spark build --dry-run --corpus my-corpus --config {file} --files 0:20 cc:CC-MAIN-2025-30   # what it takes
  swallow-spark build --corpus my-corpus --config {file} --files 0:20 cc:CC-MAIN-2025-30""",
        err=True,
    )


def _ask(question: str, default: str, check: Callable[[str], str | None]) -> str:
    return str(typer.prompt(question, default, value_proc=lambda answer: check(answer.strip()), err=True))


def _text(rules: str, names: list[str], top: int) -> str:
    """The configuration's text."""
    parts = [
        "# Made by `swallow-spark init`. Keys: docs/reference/configuration.md. For one run: --set SECTION.KEY=VALUE.\n"
        f'extends = "{rules}" # rules, clean-up and deduplication of Swallow Corpus, with their sources\n',
        "[rules]\n"
        'preset = "mine" # the name of these rules in the tables\n\n'
        "[rules.bounds] # a change of a rule; `swallow-spark rules try TEXT --config FILE` shows what it does\n"
        "# avg_sentence_length = false                                       # turns a rule off\n"
        '# katakana_fraction = { max = 0.5, source = "our own experiments" }  # every bound names its source\n',
    ]
    if names:
        parts.append(
            f"# Swallow's released models, from {_RELEASED}. Their sha256 is not known here:\n"
            "# a corpus keeps to what the first download brought, which prints a line, sha256 = …, to write here.\n"
            + "\n".join(_CLASSIFIERS[name] for name in names)
        )
        of_all = "# percent of the accepted pages"
        parts += [f'[[subsets]]\nclassifier = "{name}"\nbands = ["top{top}"] {of_all}\n' for name in names]
    else:
        parts.append(
            "# No classifier: the build ends with the pages that the rules accept. To rank them:\n"
            "# [classifiers.edu]\n"
            f'# path = "{_RELEASED}/resolve/main/llm_llama.bin"\n'
            "# weights = { __label__0 = 0, __label__1 = 1, __label__2 = 2, __label__3 = 3 }\n"
        )
    return "\n".join(parts)
