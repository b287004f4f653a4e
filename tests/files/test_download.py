"""Downloads from a server that misbehaves: what comes out is the file, or an error that says why."""

import email.utils
import random
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from misbehaving import Answer, Request, Web, breaking, dripping, good, refusing, serving

from swallow_spark.config.access import Access
from swallow_spark.errors import ChangedError, InputError
from swallow_spark.files import http as download
from swallow_spark.files.http import HttpClient, Version

FILE = random.Random(1).randbytes(3_000_000)
PAGE = b"<html><body>Please slow down</body></html>"


class Clock:
    """The client's: it stands still, or is `speed` times as fast as time; nothing waits for it."""

    def __init__(self) -> None:
        self.speed = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.speed * time.monotonic()

    def time(self) -> float:
        return 1_800_000_000.0

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.slept.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(download, "time", clock)
    return clock


@pytest.fixture
def pauses(clock: Clock) -> list[float]:
    """How long the client would have waited; it doesn't."""
    return clock.slept


@pytest.fixture
def web() -> Iterator[Web]:
    with serving(Web(files={"/f": FILE}, etags={"/f": '"one"'})) as running:
        yield running


def read(web: Web, path: str = "/f", access: Access | None = None, **how: Any) -> bytes:
    with HttpClient(access).open(f"{web.url}{path}", **how) as body:
        pieces = []
        while piece := body.read(100_000):
            pieces.append(piece)
        return b"".join(pieces)


@pytest.mark.parametrize(
    "orders",
    [
        [],
        [good(cut=1_000_000)],
        [good(cut=2_000_000), good(cut=500_000), good(cut=0)],
        [breaking, good(cut=10), breaking, refusing(503)],
        [good(cut=2_000_000), good(ranges=False)],
        [good(cut=2_000_000), refusing(503, PAGE), good(cut=999_999)],
        [good(cut=1_000), good(ranges=False, cut=500), good(ranges=False)],
        [refusing(429), refusing(500, PAGE, Content_Type="text/html")],
        [refusing(200, PAGE), refusing(200, b"  <?xml version='1.0'?><Error><Code>SlowDown</Code></Error>")],
        [refusing(200, b"Slow down, please", Content_Type="text/html; charset=utf-8")],
    ],
)
def test_the_file_comes_out_whole(web: Web, pauses: list[float], orders: list[Answer]) -> None:
    web.orders["/f"] = orders
    assert read(web) == FILE
    assert orders == []
    assert len(pauses) == len(web.requests) - 1


def test_goes_on_where_it_broke_off(web: Web, pauses: list[float]) -> None:
    web.orders["/f"] = [good(cut=1_000_000), good(cut=1_500_000)]
    assert read(web) == FILE
    assert web.ranges("/f") == [None, "bytes=1000000-2999999", "bytes=2500000-2999999"]
    assert [headers.get("if-range") for _, headers in web.requests] == [None, '"one"', '"one"']
    assert web.bytes_sent == len(FILE)


def test_any_five_troubles_are_borne(web: Web, pauses: list[float]) -> None:
    chance = random.Random(7)
    troubles: list[Callable[[], Answer]] = [
        lambda: good(cut=chance.randrange(len(FILE))),
        lambda: good(cut=chance.randrange(5)),
        lambda: good(cut=chance.randrange(len(FILE)), ranges=False),
        lambda: refusing(chance.choice((429, 500, 503)), PAGE),
        lambda: refusing(200, PAGE, Content_Type="text/html"),
        lambda: breaking,
    ]
    for _ in range(40):
        web.orders["/f"] = orders = [chance.choice(troubles)() for _ in range(5)]
        assert read(web) == FILE
        assert len(orders) < 5


def test_a_long_file_may_break_often_as_long_as_it_comes_forward(web: Web, pauses: list[float]) -> None:
    web.files["/f"] = FILE * 4
    web.orders["/f"] = [good(cut=1_100_000) for _ in range(10)]
    assert read(web) == FILE * 4
    web.orders["/f"] = [good(cut=100_000) for _ in range(6)]
    with pytest.raises(InputError, match=r"can't be read after 6 attempts: .*IncompleteRead"):
        read(web)


def test_a_server_without_ranges_that_cuts_each_body_is_given_up(web: Web, pauses: list[float]) -> None:
    web.orders["/f"] = [good(cut=2_000_000, ranges=False) for _ in range(50)]
    with pytest.raises(InputError, match=r"after \d+ attempts"):
        read(web)
    assert len(web.requests) <= 8


@pytest.mark.parametrize("size", [len(FILE) + 7, len(FILE) - 7])
def test_a_wrong_length_is_no_file(web: Web, pauses: list[float], size: int) -> None:
    web.orders["/f"] = [good(Content_Length=size, cut=len(FILE)) for _ in range(9)]
    if size < len(FILE):  # what is behind it was never promised; whoever knows the size finds out
        assert read(web) == FILE[:size]
        with pytest.raises(ChangedError, match="has changed: 2999993 bytes, and it had 3000000"):
            read(web, expected=Version(len(FILE), None))
    else:
        with pytest.raises(InputError):
            read(web)


def test_waits_as_long_as_it_is_told(web: Web, clock: Clock) -> None:
    at = email.utils.formatdate(clock.time() + 100, usegmt=True)
    web.orders["/f"] = [
        refusing(503, Retry_After=7),
        refusing(429, Retry_After=at),
        refusing(503, Retry_After="soon"),
        refusing(503),
    ]
    assert read(web) == FILE
    told, by_date, grown, more = clock.slept
    assert 7.5 <= told <= 8
    assert 101 <= by_date <= 102
    assert 2 <= grown <= 4
    assert 4 <= more <= 8
    web.orders["/f"] = [refusing(503, Retry_After=3600)]
    with pytest.raises(InputError, match="status 503; the server asks to wait 3600 seconds"):
        read(web)


def test_pauses_are_spread(web: Web, pauses: list[float]) -> None:
    for _ in range(8):
        web.orders["/f"] = [refusing(503)]
        read(web)
    assert len(set(pauses)) == 8


@pytest.mark.parametrize("status", [401, 403, 404, 410, 418])
def test_other_statuses_are_told_at_once(web: Web, pauses: list[float], status: int) -> None:
    web.orders["/f"] = [refusing(status, PAGE)]
    with pytest.raises(InputError, match=f"HTTP status {status}"):
        read(web)
    assert (len(web.requests), pauses) == (1, [])


def test_a_connection_that_drips_is_broken_off(web: Web, clock: Clock) -> None:
    clock.speed = 20  # so that a byte comes in time, though the machine stalls for a while
    web.orders["/f"] = [dripping, dripping, dripping]
    with pytest.raises(InputError, match=r"bytes in \d+ seconds"):
        read(web, access=Access(seconds=5, attempts=2))


def test_a_server_that_says_nothing_times_out(web: Web, pauses: list[float]) -> None:
    def silent(request: Request) -> None:
        request.rfile.read(1)  # until the client hangs up

    web.orders["/f"] = [silent]
    assert read(web, access=Access(seconds=0.3)) == FILE
    assert len(web.requests) >= 2  # more where the machine stalls, too


def test_no_server(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def knows_no_such_host(host: Any, *arguments: Any, **named: Any) -> Any:
        if host == "no-such-host.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", knows_no_such_host)
    with pytest.raises(InputError, match="can't be read after 3 attempts: NewConnectionError"):
        HttpClient().open("http://127.0.0.1:1/x")
    with pytest.raises(InputError, match="can't be read after 3 attempts: NameResolutionError"):
        HttpClient().open("http://no-such-host.invalid/x")
    assert len(pauses) == 4


@pytest.mark.parametrize("etag", ['"two"', None])
def test_a_file_that_changes_is_an_error(web: Web, pauses: list[float], etag: str | None) -> None:
    def changed(request: Request) -> None:
        request.web.files["/f"] = FILE[::-1] if etag else FILE[:-1]
        if etag:
            request.web.etags["/f"] = etag
        else:
            del request.web.etags["/f"]
        good()(request)

    web.orders["/f"] = [good(cut=1_000_000), changed]
    with pytest.raises(ChangedError, match="ETag is .two., and it was .one." if etag else "2999999 bytes, and it had"):
        read(web)


def test_a_file_that_changes_in_date_alone(web: Web, pauses: list[float]) -> None:
    del web.etags["/f"]
    web.orders["/f"] = [good(cut=1_000_000, Last_Modified="Mon"), good(Last_Modified="Tue")]
    with pytest.raises(ChangedError, match="last modified Tue, and it was Mon"):
        read(web)


def test_a_file_that_shrinks(web: Web, pauses: list[float]) -> None:
    def shrunk(request: Request) -> None:
        request.web.files["/f"] = FILE[:10]
        good()(request)

    web.orders["/f"] = [good(cut=1_000_000), shrunk]
    with pytest.raises(ChangedError, match="ends before byte 1000000"):
        read(web)


def test_another_file_than_expected(web: Web) -> None:
    assert read(web, expected=Version(len(FILE), 'W/"one"')) == FILE
    with pytest.raises(ChangedError, match="3000000 bytes, and it had 5"):
        read(web, expected=Version(5, None))
    with pytest.raises(ChangedError, match="ETag"):
        read(web, expected=Version(-1, '"zero"'))


def test_ranges(web: Web, pauses: list[float]) -> None:
    assert read(web, start=10, end=2_000_000) == FILE[10:2_000_000]
    assert read(web, start=2_999_999, end=5_000_000) == FILE[-1:]
    web.orders["/f"] = [good(cut=1_000_000), refusing(503)]
    assert read(web, start=10, end=2_000_000) == FILE[10:2_000_000]
    assert web.ranges("/f")[-1] == "bytes=1000010-1999999"
    web.orders["/f"] = [good(ranges=False)]
    with pytest.raises(InputError, match="support range requests"):
        read(web, start=10, end=20)
    web.orders["/f"] = [good(Content_Range="bytes 0-9/3000000")] * 6
    with pytest.raises(InputError, match="another range than requested"):
        read(web, start=10, end=20)


def test_a_body_in_chunks(web: Web, pauses: list[float]) -> None:
    def chunked(cut: int | None) -> Answer:
        def answer(request: Request) -> None:
            request.head(200, Transfer_Encoding="chunked")
            parts = [FILE[at : at + 700_000] for at in range(0, len(FILE), 700_000)]
            for part in parts[:cut]:
                request.body(b"%x\r\n%s\r\n" % (len(part), part))
            if cut:
                request.hang_up()
            else:
                request.body(b"0\r\n\r\n")

        return answer

    web.orders["/f"] = [chunked(None)]
    assert read(web) == FILE
    web.orders["/f"] = [chunked(3)]
    assert read(web) == FILE
    assert web.ranges("/f")[-1] == "bytes=2100000-"


# ---- redirects


def redirecting(target: str) -> Answer:
    return lambda request: request.head(302, Location=target, Content_Length=0)


def test_redirects_on_the_same_server_are_followed(web: Web) -> None:
    web.orders["/a"] = [redirecting("b?x=1")]
    web.orders["/b?x=1"] = [redirecting("/f")]
    assert read(web, "/a") == FILE
    web.orders["/loop"] = [redirecting("/loop") for _ in range(20)]
    with pytest.raises(InputError, match="more than 5 redirects"):
        read(web, "/loop")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x", "", "data:,x"])
def test_redirects_lead_to_the_web_only(web: Web, target: str) -> None:
    web.orders["/a"] = [redirecting(target)]
    with pytest.raises(InputError, match=r"not an HTTP address|redirects"):
        read(web, "/a")


def test_redirects_lead_to_public_addresses_only_unless_allowed(web: Web) -> None:
    with serving(Web(files={"/f": FILE})) as other:
        port = other.url.rpartition(":")[2]
        hosts = ("127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]")
        for host in hosts:
            web.orders["/a"] = [redirecting(f"http://{host}:{port}/f")]
            with pytest.raises(InputError, match="not a public address"):
                read(web, "/a")
        assert other.requests == []
        web.orders["/a"] = [redirecting(f"{other.url}/f")]
        assert read(web, "/a", Access(to_private_addresses=True)) == FILE


# ---- rates


def test_requests_take_their_share_of_time(web: Web, pauses: list[float]) -> None:
    client = HttpClient(Access(requests_per_second=0.5))
    for _ in range(3):
        with client.open(f"{web.url}/f") as body:
            assert body.read() == FILE
    assert pauses == [2, 4]  # the clock stands, so what was to be waited for adds up


def test_bytes_take_their_share_of_time(web: Web, pauses: list[float]) -> None:
    client = HttpClient(Access(bytes_per_second=1e6))
    for _ in range(3):
        with client.open(f"{web.url}/f") as body:
            assert body.read() == FILE
    client.bytes.take(1)
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(9)  # a microsecond for each byte of three files


# ---- credentials


def test_credentials_go_to_their_server_alone_and_are_not_told(web: Web, pauses: list[float]) -> None:
    with serving(Web(files={"/f": FILE})) as other:
        web.orders["/f"] = [redirecting(f"{other.url}/f")]
        url = web.url.replace("http://", "http://me:se%40cret@") + "/f"
        with HttpClient(Access(to_private_addresses=True)).open(url) as body:
            assert body.read() == FILE
        assert web.requests[0][1]["authorization"] == "Basic bWU6c2VAY3JldA=="
        assert "authorization" not in other.requests[0][1]
    for orders in ([refusing(403)], [refusing(503)] * 6, [redirecting("file:///x")], [good(Content_Length=5)]):
        web.orders["/f?sig=abc"] = orders
        with pytest.raises(InputError) as caught:
            HttpClient().open(f"{url}?sig=abc", expected=Version(6)).read()
        assert "cret" not in str(caught.value)
        assert "abc" not in str(caught.value)
