"""Requests through the proxies that the environment names."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from misbehaving import Answer, Web, serving

from swallow_spark.addresses import proxy_of
from swallow_spark.config.access import Access
from swallow_spark.errors import InputError, UsageError
from swallow_spark.files.http import HttpClient
from swallow_spark.labelling.endpoint import Endpoint, PassingError
from swallow_spark.session.notify import notify


class Proxy(BaseHTTPRequestHandler):
    """Passes requests on by HTTP, and refuses tunnels; `asked` are the lines of requests."""

    asked: list[str]
    logins: list[str | None]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        self.logins.append(self.headers.get("Proxy-Authorization"))
        parts = urlsplit(self.path)
        upstream = http.client.HTTPConnection(parts.netloc, timeout=10)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        upstream.request(self.command, parts.path, body, {"Range": self.headers.get("Range", "")})
        answer = upstream.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name in ("ETag", "Location", "Content-Range"):
            if value := answer.headers.get(name):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def do_CONNECT(self) -> None:
        self.asked.append(f"CONNECT {self.path}")
        self.send_error(403)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def proxying() -> Iterator[tuple[str, type[Proxy]]]:
    handler = type("Handler", (Proxy,), {"asked": [], "logins": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", handler
        server.shutdown()
        thread.join()


@pytest.fixture
def web() -> Iterator[Web]:
    with serving(Web(files={"/f": b"content"})) as running:
        yield running


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Proxy]]:
    with proxying() as (place, handler):
        for name in ("http_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://me:se%40cret@{place}")
        yield handler


def redirecting(target: str) -> Answer:
    return lambda request: request.head(302, Location=target, Content_Length=0)


def read(url: str, access: Access | None = None, start: int = 0, end: int | None = None) -> bytes:
    with HttpClient(access).open(url, start, end) as body:
        return body.read()


def test_files_are_read_through_a_proxy(web: Web, proxy: type[Proxy]) -> None:
    assert read(f"{web.url}/f") == b"content"
    assert read(f"{web.url}/f", start=2, end=5) == b"nte"
    assert proxy.asked == [f"GET {web.url}/f"] * 2
    assert proxy.logins == ["Basic bWU6c2VAY3JldA=="] * 2
    assert len(web.requests) == 2


def test_https_goes_through_a_tunnel(proxy: type[Proxy]) -> None:
    with pytest.raises(InputError, match=r"after 1 attempts: ProxyError.*403") as caught:
        read("https://data.example:444/f", Access(attempts=1))
    assert proxy.asked == ["CONNECT data.example:444"]
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("bypassed", ["127.0.0.1", "localhost, 127.0.0.1", "*", ".0.0.1"])
def test_no_proxy_names_hosts_that_are_asked_themselves(
    web: Web, proxy: type[Proxy], bypassed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", bypassed)
    assert read(f"{web.url}/f") == b"content"
    assert proxy.asked == []


def test_which_proxy_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "proxy.lan:3128")
    assert proxy_of("https://a.example/x") == proxy_of("http://a.example/x") == "http://proxy.lan:3128"
    monkeypatch.setenv("HTTPS_PROXY", "http://secure.lan:1")
    monkeypatch.setenv("NO_PROXY", "b.example,c.example:81")
    assert proxy_of("https://a.example/x") == "http://secure.lan:1"
    for url in ("https://b.example", "https://me:pw@x.b.example:444/x", "http://c.example:81/x"):
        assert proxy_of(url) is None
    assert proxy_of("http://c.example:82/x") == proxy_of("http://bb.example/") == "http://proxy.lan:3128"


def test_a_proxy_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://me:secret@proxy.lan:1080")
    with pytest.raises(UsageError, match=r"socks5://\*\*\*@proxy.lan:1080: named as a proxy by the environment"):
        read("https://a.example/f")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "10.0.0.1", "[::1]", "0x7f000001"])
def test_a_proxy_is_sent_to_no_private_address_by_a_redirect(web: Web, proxy: type[Proxy], host: str) -> None:
    web.orders["/a"] = [redirecting(f"http://{host}:1/f")]
    with pytest.raises(InputError, match="not a public address"):
        read(f"{web.url}/a")
    assert proxy.asked == [f"GET {web.url}/a"]


def test_redirects_through_a_proxy(web: Web, proxy: type[Proxy], monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Web(files={"/f": b"moved"})) as other:
        web.orders["/a"] = [redirecting(f"{other.url}/f")] * 3
        assert read(f"{web.url}/a", Access(to_private_addresses=True)) == b"moved"
        assert proxy.asked == [f"GET {web.url}/a", f"GET {other.url}/f"]
        # A host that is asked without the proxy is looked at when the connection stands, as ever.
        monkeypatch.setenv("no_proxy", urlsplit(other.url).netloc)
        with pytest.raises(InputError, match="not a public address"):
            read(f"{web.url}/a")
        assert len(proxy.asked) == 3
    web.orders["/a"] = [redirecting("http://known-to-the-proxy.invalid/f")]
    with pytest.raises(InputError, match=r"after 1 attempts|HTTP status"):
        read(f"{web.url}/a", Access(attempts=1))
    assert proxy.asked[-1] == "GET http://known-to-the-proxy.invalid/f"


def test_models_and_notifications_too(web: Web, proxy: type[Proxy]) -> None:
    web.files["/v1/models"] = json.dumps({"data": [{"id": "m"}]}).encode()
    assert Endpoint(f"{web.url}/v1", "NO_KEY", 10, 1).models() == [{"id": "m"}]
    with pytest.raises(PassingError, match="ProxyError"):
        Endpoint("https://llm.example/v1", "NO_KEY", 10, 1).models()
    assert notify(f"{web.url}/hook", {"a": 1}) == "the notification was answered by HTTP status 501"
    assert proxy.asked == [f"GET {web.url}/v1/models", "CONNECT llm.example:443", f"POST {web.url}/hook"]
