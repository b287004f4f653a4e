"""A corpus as users build one."""

from pathlib import Path

import pytest
from commands import Ran, run
from places import DEMO_WARCS


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A corpus built from two of the demo's files by a process of its own, and how that ended."""
    corpus = tmp_path_factory.mktemp("demo") / "corpus"
    ran = run("build", "--corpus", corpus, "--config", "demo", "--crawl", "demo", "--json", *DEMO_WARCS[:2])
    return corpus, ran
