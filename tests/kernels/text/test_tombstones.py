import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swallow_spark.files.storage import Root
from swallow_spark.kernels.text.tombstones import Tombstones, address, domain, domains_above, key, keys_of, sorted_keys
from swallow_spark.stages.remove.lists import parse
from swallow_spark.stages.remove.shipped import ship


def tombstones(urls: bytes = b"", hosts: bytes = b"") -> Tombstones:
    return Tombstones(
        sorted_keys(key("host", host) for host in parse("host", hosts)),
        sorted_keys(key("url", url) for url in parse("url", urls)),
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://example.jp/a/b?c=1",
        "HTTP://User:pw@WWW.Example.JP:8080/a/b?c=1#top",
        "example.jp./a/b?c=1",
        " //www.example.jp/a/b?c=1/ ",
    ],
)
def test_urls_are_one_whatever_does_not_count(url: str) -> None:
    assert address(url) == "example.jp/a/b?c=1"


def test_names_in_either_form_are_one() -> None:
    assert domain("日本語.JP.") == domain("xn--wgv71a119e.jp") == "xn--wgv71a119e.jp"
    assert address("http://日本語.jp/あ/") == address("https://xn--wgv71a119e.jp/あ") == "xn--wgv71a119e.jp/あ"
    assert domain("あ" * 100) == "あ" * 100  # not valid in IDNA
    assert domains_above("a.日本語.jp") == ["a.xn--wgv71a119e.jp", "xn--wgv71a119e.jp", "jp"]


def test_lists_have_comments_and_blank_lines() -> None:
    content = "\ufeff# all of these\nhttps://a.jp/x#y # asked for by mail\n\n https://A.jp/x \nb.jp\n".encode()
    assert parse("url", content) == ["a.jp/x", "b.jp"]
    assert parse("host", b"*.a.jp\n.b.jp.\nC.jp\n#d.jp\n") == ["a.jp", "b.jp", "c.jp"]


def test_pages_are_removed_by_url_or_by_host_and_what_lies_below() -> None:
    found = tombstones(b"https://a.jp/x\n", b"b.jp\n")
    pages = {
        ("a.jp", "http://www.a.jp/x/"): True,
        ("a.jp", "http://a.jp/x/y"): False,
        ("a.jp", "http://a.jp/x?y"): False,
        ("b.jp", "http://b.jp/"): True,
        ("www.B.jp.", "http://www.b.jp/"): True,
        ("bb.jp", "http://bb.jp/b.jp"): False,
        (None, None): False,
        ("", ""): False,
    }
    hosts, urls = zip(*pages, strict=True)
    assert found.removed(hosts, urls).tolist() == list(pages.values())
    assert found.removed([], []).tolist() == []
    assert not Tombstones().removed(hosts, urls).any()


@given(
    listed=st.sets(st.text("ab./", min_size=1, max_size=6)),
    pages=st.lists(st.tuples(st.text("ab.", max_size=5), st.text("/ab?", max_size=4)), max_size=8),
)
def test_equal_to_looking_one_by_one(listed: set[str], pages: list[tuple[str, str]]) -> None:
    content = "\n".join(listed).encode()
    hosts, urls = [host for host, _ in pages], [f"http://{host}{path}" for host, path in pages]
    by_url, by_host = parse("url", content), parse("host", content)
    expected = [
        address(url) in by_url or any(domain(host) == name or domain(host).endswith(f".{name}") for name in by_host)
        for host, url in zip(hosts, urls, strict=True)
    ]
    assert tombstones(content, content).removed(hosts, urls).tolist() == expected


def test_keys_of_hosts_and_urls_differ_and_none_ends_in_zero() -> None:
    assert key("host", "a.jp") != key("url", "a.jp")
    assert all(key("url", f"{n}.jp")[-1] for n in range(1000))
    keys = sorted_keys(key("url", f"{n}.jp") for n in itertools.chain(range(1000), range(500)))
    assert keys.tolist() == sorted({key("url", f"{n}.jp") for n in range(1000)})


def test_shipped_ones_are_those_written(tmp_path: Path) -> None:
    shipped = ship(Root(str(tmp_path)), sorted_keys([]), sorted_keys([key("url", "a.jp/x")]))
    opened = shipped.open()
    assert opened.removed(["a.jp", "a.jp"], ["http://a.jp/x", "http://a.jp/y"]).tolist() == [True, False]
    assert isinstance(opened._urls, np.memmap)
    assert shipped.open() is opened


def test_keys_come_back_from_a_table() -> None:
    keys = sorted(key("url", f"a.example/{i}") for i in range(100))
    column = pa.chunked_array(
        [pa.array(keys[:30], pa.binary()), pa.array([], pa.binary()), pa.array(keys, pa.binary())]
    )
    assert keys_of(column.slice(30)).tolist() == keys
    assert keys_of(column.slice(0, 0)).tolist() == keys_of(pa.chunked_array([], pa.binary())).tolist() == []
