"""Hosts of URLs, as rules on hosts compare them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swallow_spark.kernels.html.urls import host_of


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://example.jp", "example.jp"),
        ("https://Example.JP:8443/a/b?c=http://other.example/#d", "example.jp"),
        ("https://user:pass@example.jp/", "example.jp"),
        ("http://example.jp./", "example.jp"),
        ("http://example.jp..:80/", "example.jp"),
        ("http://192.0.2.7/x", "192.0.2.7"),
        ("http://[2001:DB8::7]:80/x", "2001:db8::7"),
        ("http://xn--eckwd4c7c.example/", "xn--eckwd4c7c.example"),
        ("http://日本語.example/", "日本語.example"),
        ("  http://example.jp/ \n", "example.jp"),
        ("//example.jp/x", "example.jp"),
        ("example.jp/x", None),
        ("mailto:a@example.jp", None),
        ("urn:uuid:0", None),
        ("dns:example.jp", None),
        ("http:///x", None),
        ("http://./", None),
        ("http://:80/", None),
        ("http://[::1/x", None),
        ("http://[not-an-address]/", None),
        ("http://a℀b.example/", None),  # NFKC makes a slash of it: refused by urlsplit
        ("http://example.jp:port/", "example.jp"),
        ("", None),
    ],
)
def test_hosts(url: str, host: str | None) -> None:
    assert host_of(url) == host


@settings(max_examples=400)
@given(st.text() | st.text(alphabet="htp:/[]@.%\\#?a0é\t\n ").map(lambda rest: f"http://{rest}"))
def test_any_text_has_a_host_or_none(url: str) -> None:
    host = host_of(url)
    assert host is None or (host and host == host.lower() and not host.endswith("."))
