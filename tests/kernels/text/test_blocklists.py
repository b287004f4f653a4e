"""Lists of domains and URLs in all the forms that they come in."""

import pyarrow as pa
import pytest

from swallow_spark.kernels.text import blocklists
from swallow_spark.stages.decide import lists
from swallow_spark.stages.decide.lists import Source

HOSTS = """# commented.example
  Listed.Example.  # ours

*.wild.example
.dotted.example
0.0.0.0 ads.example
192.0.2.7
日本語.example
xn--eckwd4c7c.example
"""


def listed() -> tuple[pa.Table, pa.Table]:
    domains = lists.domains([Source(HOSTS.encode(), "host:blocked"), Source(b"ads.example\n", "host:publicite")])
    urls = b"http://User@WWW.pages.example:80/~bad/#top\npages.example/cgi?id=3\nhttps://only.example/\n\xff\n/\n"
    return domains, lists.prefixes([Source(urls, "url:adult"), Source("例え.jp/x".encode(), "url:blocked")])


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("listed.example", ["host:blocked"]),
        ("a.b.Listed.Example.", ["host:blocked"]),
        ("unlisted.example", []),
        ("commented.example", []),
        ("wild.example", ["host:blocked"]),
        ("x.dotted.example", ["host:blocked"]),
        ("ads.example", ["host:blocked", "host:publicite"]),
        ("192.0.2.7", ["host:blocked"]),
        ("www.xn--wgv71a119e.example", ["host:blocked"]),
        ("日本語.example", ["host:blocked"]),
        ("ドメイン.example", ["host:blocked"]),
        ("example", []),
        ("", []),
        (None, []),
    ],
)
def test_a_host_matches_its_parents_in_either_form(host: str | None, expected: list[str]) -> None:
    assert blocklists.reasons(host, None, *listed()) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://pages.example/~bad", ["url:adult"]),
        ("http://www.pages.example:8080/~BAD/page.html?x#y", ["url:adult"]),
        ("//pages.example/~bad?x", ["url:adult"]),
        ("https://pages.example/~badly", []),
        ("https://pages.example/", []),
        ("https://pages.example/cgi?id=3", ["url:adult"]),
        ("https://pages.example/cgi?id=3#part", ["url:adult"]),
        ("https://pages.example/cgi?id=31", []),
        ("https://pages.example/cgi", []),
        ("http://only.example/any/thing", ["url:adult"]),
        ("http://sub.only.example/any/thing", []),
        ("http://例え.jp/x/y", ["url:blocked"]),
        ("http://xn--r8jz45g.jp/x/y", ["url:blocked"]),
        ("", []),
        ("not a url", []),
        ("https://", []),
    ],
)
def test_a_url_matches_where_a_prefix_ends(url: str, expected: list[str]) -> None:
    assert blocklists.reasons(None, url, *listed()) == expected


def test_no_list_gives_empty_tables() -> None:
    assert lists.domains([]).schema == lists.DOMAINS
    assert lists.prefixes([]).schema == lists.PREFIXES
    assert lists.prefixes([Source(b"\n#\n", "url:x")]).num_rows == 0
    assert lists.domains([Source(b"\n.\n", "host:x")]).num_rows == 0


def test_an_entry_that_is_listed_twice_is_one_row() -> None:
    assert lists.domains([Source(b"a.jp\nA.jp.\n.a.jp\n", "host:x")]).num_rows == 1
