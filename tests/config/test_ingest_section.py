"""[ingest]: what of it makes other rows, and what it doesn't take."""

from typing import Any

import pytest

from swallow_spark.config.load import load
from swallow_spark.errors import ConfigError
from swallow_spark.pipeline import STAGES
from swallow_spark.stages.stage import Lineage


@pytest.mark.parametrize(
    ("setting", "changes"),
    [
        ("max_html_bytes=5000", True),
        ("max_replaced_fraction=0.5", True),
        ("base_url=s3://commoncrawl", False),
        ("max_failed_fraction=0.5", False),
        ("requests_per_second=1", False),
        ("bytes_per_second=1000", False),
        ("requests_at_once=2", False),
        ("max_gap_bytes=0", False),
        ("redirects_to_private_addresses=true", False),
    ],
)
def test_where_bytes_come_from_is_in_no_fingerprint(setting: str, changes: bool) -> None:
    prints = [
        Lineage(STAGES, load("demo", overrides), None).fingerprint("ingest")
        for overrides in ((), (f"ingest.{setting}",))
    ]
    assert (prints[0] != prints[1]) == changes


@pytest.mark.parametrize("url", ["https://me:secret@host.example", "s3://key:secret@b", "https://h/?token=secret"])
@pytest.mark.parametrize("key", ["ingest.base_url", "features.ng_words"])
def test_no_address_that_gives_access_is_written_into_manifests(url: str, key: str) -> None:
    def fetch(_: Any) -> bytes:
        raise AssertionError("not asked for")

    with pytest.raises(ConfigError, match=r"\*\*\*.*an address that gives access") as caught:
        load("demo", [f'{key}="{url}"'], fetch)
    assert "secret" not in str(caught.value)
