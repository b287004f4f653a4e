"""The example of docs/guides/dedup.md runs, and gives what its comments say."""

from typing import Any

import pytest
from places import REPOSITORY


def test_datasketch_finds_the_near_duplicates_of_a_text_by_our_signatures() -> None:
    page = (REPOSITORY / "docs" / "guides" / "dedup.md").read_text(encoding="utf-8")
    section = page[page.index("## Neighbours of a given text") :]
    code = section.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(compile(code, "docs/guides/dedup.md", "exec"), names)
    assert names["neighbours"] == ["cat"]
    assert names["similarity"] == pytest.approx(0.93, abs=0.005)
