"""One page explained: its record as it is in the WARC."""

from pathlib import Path

import pytest
from warcs import record, zipped

from swallow_spark.errors import UsageError
from swallow_spark.report.explain import Explained


def test_a_record_that_is_not_in_a_member_of_its_own_has_no_raw_form(tmp_path: Path) -> None:
    content = record(b"block" * 99)
    for name, data, offset in (
        ("whole", zipped(content), 0),
        ("in two members", zipped(content[:200], content[200:]), 0),
        ("shared", zipped(content, content), 1),
    ):
        (tmp_path / name).write_bytes(data)
        explained = Explained({"url": "http://a.example/"}, str(tmp_path / name), offset)
        if name == "whole":
            assert explained.raw_record().endswith(b"block" * 99 + b"\r\n\r\n")
        else:
            with pytest.raises(UsageError, match="no whole WARC record"):
                explained.raw_record()
