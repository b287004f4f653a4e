"""Looking at a corpus in a web browser."""

import secrets
import socket
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from swallow_spark.commands.options import CorpusOption, command, option
from swallow_spark.errors import UsageError

_HERE: Final = "127.0.0.1"


@command("browse", "Look at a corpus", "--corpus my-corpus")
def browse(
    corpus: CorpusOption,
    port: Annotated[int, option("--port", "N", "Port on 127.0.0.1. Default: a free one.", min=0, max=65535)] = 0,
    marks: Annotated[
        Path | None,
        typer.Option("--marks", metavar="FILE", help="File of marks. Default: CORPUS.marks.jsonl beside the corpus."),
    ] = None,
) -> None:
    """Show the pages of a corpus in your browser: search, compare, see why each was kept or dropped, mark mistakes.
    Only this machine can open the address, and the corpus is only read. Needs no Spark. Ctrl-C ends it."""
    # These take a third of a second, which other commands need not spend.
    import uvicorn

    from swallow_spark.report.browse.app import make_app
    from swallow_spark.report.browse.marks import Marks
    from swallow_spark.report.browse.source import Source

    source = Source(corpus)
    root = source.corpus.root.local_path("")
    kept = Marks(marks or root.with_name(f"{root.name}.marks.jsonl"), root)
    token = secrets.token_urlsafe(24)
    listening = socket.socket(socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((_HERE, port))
    except OSError as error:
        listening.close()
        raise UsageError(f"--port {port}: {error.strerror}; give another port, or none to take a free one") from None
    with listening:
        listening.listen()  # before the address is printed: it can be opened at once
        try:
            address = f"http://{_HERE}:{listening.getsockname()[1]}/{token}/"
            console = Console(stderr=True, soft_wrap=True, highlight=False)
            console.print(f"Open {address}\nMarks {kept.path}\nCtrl-C ends it.", markup=False)
            server = uvicorn.Server(
                uvicorn.Config(
                    make_app(source, kept, token),
                    log_level="warning",
                    access_log=False,
                    lifespan="off",
                    ws="none",
                    server_header=False,
                    timeout_graceful_shutdown=2,
                )
            )
            server.run(sockets=[listening])
        except KeyboardInterrupt:  # how it is ended
            return
