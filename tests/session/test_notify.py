"""How whoever waits is told that a run has ended: a real server, a file, and what keeps either from hearing it."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import urllib3

from swallow_spark.commands.options import Call
from swallow_spark.commands.running import monitored
from swallow_spark.config.load import load
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.errors import UsageError
from swallow_spark.session.notify import notify

OUTCOME = {"run": "r1", "status": "done", "crawl": "日本"}
SECRET = "?token=secret"


class Hook(HTTPServer):
    """Keeps what it is sent, and answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 204
        self.got: list[tuple[str, str | None, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook{SECRET}"


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_webhook_gets_one_object(hook: Hook) -> None:
    assert notify(hook.url, OUTCOME) is None
    assert hook.got == [(f"/hook{SECRET}", "application/json", OUTCOME)]


def test_a_webhook_that_refuses_is_told_without_its_address(hook: Hook) -> None:
    hook.status = 500
    assert notify(hook.url, OUTCOME) == "the notification was answered by HTTP status 500"
    assert len(hook.got) == 1, "sent again, it might be taken for another run's"


def test_nobody_there_is_told_without_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib3.Retry, "sleep", lambda *_: None)
    with socket.socket() as deaf:  # bound, so that nobody else listens there
        deaf.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/hook{SECRET}"
        assert notify(url, OUTCOME) == "the notification can't be sent (MaxRetryError)"


def test_a_file_gets_a_line_for_each_run(tmp_path: Path) -> None:
    file = tmp_path / "outcomes"
    for _ in range(2):
        assert notify(str(file), OUTCOME) is None
    assert [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] == [OUTCOME, OUTCOME]
    assert notify(str(tmp_path / "nowhere" / "file"), OUTCOME) == "the notification can't be sent (FileNotFoundError)"


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        (None, {"status": "done", "summary": {"pages": 3}}),
        (KeyboardInterrupt(), {"status": "stopped"}),
        (UsageError("no\x1b[0m"), {"status": "failed", "error": "no\\x1b[0m (UsageError)"}),
    ],
)
def test_every_end_of_a_command_is_told(
    hook: Hook, tmp_path: Path, ends: BaseException | None, told: dict[str, Any]
) -> None:
    settings = load("demo", [f"monitoring.notify={hook.url}"])
    corpus = Corpus.open_or_create(str(tmp_path / "corpus"))
    call = Call(command="build")
    with suppress(KeyboardInterrupt, UsageError), monitored(call, settings, corpus) as progress:
        if ends:
            raise ends
        call.result["pages"] = 3
    ((_, _, sent),) = hook.got
    assert sent == {"run": progress.run_id, "command": "build", "corpus": str(tmp_path / "corpus"), **told}


def test_a_notification_that_fails_fails_no_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = load("demo", [f"monitoring.notify={tmp_path / 'nowhere' / 'file'}"])
    with monitored(Call(command="build"), settings):
        pass
    assert capsys.readouterr().err == "the notification can't be sent (FileNotFoundError)\n"
