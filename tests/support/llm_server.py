"""An OpenAI-compatible server on the loopback address that answers, or misbehaves, as a test says."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], bytes]  # status, headers, body
Behaviour = Callable[[dict[str, Any], int], Answer | None]  # of the question and its number; None: hang up


def completion(content: str | None, *, tokens: tuple[int, int] | None = (100, 10), **choice: Any) -> Answer:
    message = {"role": "assistant", "content": content, **choice.pop("message", {})}
    value: dict[str, Any] = {"choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}]}
    if tokens:
        value["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
    return 200, {}, json.dumps(value).encode()


def error(status: int, message: str = "no", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, json.dumps({"error": {"message": message}}).encode()


class FakeServer:
    """`asked` are the bodies of all questions, `headers` their headers, `most_at_once` how many were open together."""

    def __init__(self, behave: Behaviour, owned_by: str) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.most_at_once = 0
        self._open = 0
        lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send((200, {}, json.dumps({"data": [{"id": "tiny", "owned_by": owned_by}]}).encode()))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    server.asked.append(body)
                    server.headers.append(dict(self.headers))
                    number = len(server.asked)
                    server._open += 1
                    server.most_at_once = max(server.most_at_once, server._open)
                try:
                    answer = behave(body, number)
                finally:
                    with lock:
                        server._open -= 1
                if answer is None:
                    self.close_connection = True
                else:
                    self._send(answer)

            def _send(self, answer: Answer) -> None:
                status, headers, body = answer
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = "Content-Length" in headers  # a length that is not the body's

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@contextmanager
def serving(behave: Behaviour, owned_by: str = "somebody") -> Iterator[FakeServer]:
    server = FakeServer(behave, owned_by)
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
