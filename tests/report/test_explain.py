"""One page explained: its record as it is in the WARC."""

from pathlib import Path

import pytest
from warcs import record, zipped

from swallow_spark.errors import UsageError
from swallow_spark.report.explain import Explained


def test_a_record_is_shown_whole_in_whatever_members_it_is(tmp_path: Path) -> None:
    content = record(b"block" * 99)
    for name, data, offset in (
        ("whole", zipped(content), 0),
        ("in two members", zipped(content[:200], content[200:]), 0),
        ("shared", zipped(content + content), 1),
    ):
        (tmp_path / name).write_bytes(data)
        explained = Explained({"url": "http://a.example/"}, str(tmp_path / name), offset)
        assert explained.raw_record().endswith(b"block" * 99 + b"\r\n\r\n")
    with pytest.raises(UsageError, match="no whole WARC record"):
        Explained({"url": "http://a.example/"}, str(tmp_path / "whole"), 1).raw_record()
