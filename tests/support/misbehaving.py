"""A web server on the loopback address that misbehaves on order."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_SOME_DAY = "Mon, 01 Jan 2024 00:00:00 GMT"
Answer = Callable[["Request"], None]


@dataclass
class Web:
    """The files of a server, and how it answers the next requests: first what `orders` says of a path, one order for
    each request, then as servers should."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    orders: dict[str, list[Answer]] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    bytes_sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ranges(self, path: str) -> list[str | None]:
        """The Range headers of the requests for a path."""
        return [headers.get("range") for asked, headers in self.requests if asked == path]


class Request(BaseHTTPRequestHandler):
    """A request that an order answers. A whole answer by hand: `head` and `body`."""

    web: Web
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.web.requests.append((self.path, headers))
        orders = self.web.orders.get(self.path)
        if orders:
            orders.pop(0)(self)
        else:
            good()(self)

    def do_HEAD(self) -> None:
        if (content := self.web.files.get(self.path)) is None:
            self.head(404, Content_Length=0)
        else:
            self.head(200, Content_Length=len(content), ETag=self.web.etags[self.path], Last_Modified=_SOME_DAY)

    def head(self, status: int, **headers: Any) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, data: bytes) -> None:
        with self.web.lock:
            self.web.bytes_sent += len(data)
        try:
            self.wfile.write(data)
        except OSError:  # the client has had enough
            self.close_connection = True

    def hang_up(self) -> None:
        self.close_connection = True

    @property
    def file(self) -> bytes:
        return self.web.files[self.path.partition("?")[0]]

    def log_message(self, *_: object) -> None:
        pass


def good(cut: int | None = None, ranges: bool = True, **headers: Any) -> Answer:
    """The file, or the range asked for; `cut`: as many bytes of it, then the connection ends."""

    def answer(request: Request) -> None:
        path = request.path.partition("?")[0]
        if path not in request.web.files:
            request.head(404, Content_Length=0)
            return
        content = request.file
        etag = request.web.etags.get(path)
        told = {
            **({"ETag": etag} if etag else {}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        asked = request.headers.get("Range")
        if asked and ranges and request.headers.get("If-Range", etag) == etag:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1 if last else len(content), len(content))
            if start >= len(content):
                request.head(416, Content_Length=0, Content_Range=f"bytes */{len(content)}")
                return
            told = {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}", **told}
            status, data = 206, content[start:end]
        else:
            status, data = 200, content
        request.head(status, **{"Content-Length": len(data), **told})
        request.body(data[:cut])
        if cut is not None:
            request.hang_up()

    return answer


def refusing(status: int, body: bytes = b"", **headers: Any) -> Answer:
    """A status with a body."""

    def answer(request: Request) -> None:
        request.head(status, Content_Length=len(body), **headers)
        request.body(body)

    return answer


def breaking(request: Request) -> None:
    """The connection ends without a word."""
    request.hang_up()


def dripping(request: Request) -> None:
    """The right head, then a byte now and then for as long as somebody listens."""
    request.head(200, Content_Length=len(request.file))
    for byte in request.file:
        request.body(bytes([byte]))
        if request.close_connection or threading.Event().wait(0.05):
            break
    request.hang_up()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients hang up: that is what is tested."""


@contextmanager
def serving(web: Web) -> Iterator[Web]:
    handler = type("Handler", (Request,), {"web": web})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        web.url = f"http://127.0.0.1:{server.server_port}"
        yield web
        server.shutdown()
        thread.join()
