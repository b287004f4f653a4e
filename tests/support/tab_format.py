"""An input format made up for tests: a URL and a text in each line, a tab between them."""

from collections.abc import Iterator
from typing import Any

from swallow_spark.kernels.html.imported import Row


def rows(stream: Any, max_record_bytes: int) -> Iterator[Row]:
    for number, line in enumerate(stream.read().splitlines()):
        url, tab, text = line.partition(b"\t")
        if not tab:
            yield Row(number, {}, len(line), ("no_tab", "a row needs a tab"))
        elif len(line) > max_record_bytes:
            yield Row(number, {}, len(line), ("record_too_large", f"over {max_record_bytes} bytes"))
        else:
            yield Row(number, {"text": text.decode(), "url": url.decode()}, len(line), utf8=text)
