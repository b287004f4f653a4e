"""What of an address names a file, and what is told of it."""

from swallow_spark.addresses import is_masked, key_of, masked, shown, without_access

SIGNED = "https://store.example/crawl-data/x.warc.gz?X-Amz-Date=1&X-Amz-Signature=abc"


def test_what_gives_access_is_not_shown() -> None:
    assert shown("https://user:secret@host.example/a?b=c") == "https://***@host.example/a?b=c"
    assert shown(SIGNED) == "https://store.example/crawl-data/x.warc.gz?***"
    assert shown("/data/a@b?token=x") == "/data/a@b?token=x"
    assert shown("https://h/a\x1b[2J") == "https://h/a\\x1b[2J"
    assert shown("/data/a\x1b[2J") == "/data/a\\x1b[2J"
    for exact in ("https://h/a\x1b[2J?b=c#d", "s3://b/あ /a b", "/data/a\x1b[2J", "file:///x?", "hdfs://me@h/x"):
        assert masked(exact) == exact
    for name in ("sig", "access_token", "AWSAccessKeyId", "api-key", "key", "password", "Key%2DPair%2DId&Signature"):
        assert "abc" not in shown(f"https://h/a?x=1&{name}=abc"), name
    assert without_access("https://user:secret@host.example/a?b=c") == "host.example/a?b=c"
    assert without_access(SIGNED) == "store.example/crawl-data/x.warc.gz"
    assert is_masked(shown(SIGNED))
    assert is_masked("https://***@h/")
    assert not is_masked("https://h/x***")


def test_keys() -> None:
    assert key_of("s3://commoncrawl/crawl-data/x") == key_of("https://u:p@h/crawl-data/x?sig=1") == "crawl-data/x"
    assert key_of("https://h/cc-index/table/x") == "cc-index/table/x"
    assert key_of("https://u:p@h:8080/x?page=1") == "h:8080/x?page=1"
    assert key_of("/data/../x") == "/x"
