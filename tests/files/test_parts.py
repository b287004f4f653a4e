"""Parts of files, local and over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from misbehaving import Web, serving

from swallow_spark.errors import ChangedError, InputError
from swallow_spark.files.http import HttpClient, Version
from swallow_spark.files.ranges import Ranges, open_parts


def test_ranges_of_a_file_and_of_the_web(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    (tmp_path / "x").write_bytes(content)
    with serving(Web(files={"/x": content}, etags={"/x": '"1"'})) as web:
        for location in (str(tmp_path / "x"), (tmp_path / "x").as_uri(), f"{web.url}/x"):
            ranges = Ranges(location, web=HttpClient(), expected=Version())
            with ThreadPoolExecutor(8) as pool:
                found = list(pool.map(lambda start, of=ranges: of.read(start, start + 5000), range(0, 250_000, 999)))
            assert found == [content[start : start + 5000] for start in range(0, 250_000, 999)]
            assert ranges.read(len(content) - 1, len(content) + 9) == content[-1:]
            assert ranges.version.bytes == len(content)
            ranges.close()
        ranges = Ranges(f"{web.url}/x", web=HttpClient(), expected=Version())
        ranges.read(0, 10)
        web.etags["/x"] = '"2"'
        with pytest.raises(ChangedError, match="ETag"):
            ranges.read(10, 20)
    with pytest.raises(InputError, match="can't be read"):
        Ranges(str(tmp_path / "none"), web=HttpClient(), expected=Version())


def test_parts_of_a_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    (tmp_path / "x").write_bytes(content)
    with serving(Web(files={"/x": content})) as web:
        for location in (str(tmp_path / "x"), f"{web.url}/x"):
            with open_parts(location) as stream:
                assert stream.seek(100_000) == 100_000
                assert stream.read(10) == content[100_000:100_010]
                stream.seek(-5, 2)
                assert stream.read() == content[-5:]
                stream.seek(3)
                stream.seek(4, 1)
                assert (stream.tell(), stream.read(2)) == (7, content[7:9])
        assert len(web.ranges("/x")) <= 5
