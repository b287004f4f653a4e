"""What one configuration made is not deleted for another one unless the user agrees."""

import gzip
import shutil
from pathlib import Path

import pytest
from commands import call
from corpora import ids, snapshot

OTHER = "subsets=[{classifier='wiki'}]"  # with the same bands, for which add-crawl has thresholds


def test_a_configuration_without_subsets_leaves_them(copy: Path) -> None:
    before, units = snapshot(copy / "subsets"), ids(copy, "select")
    ran = call("select", "--corpus", copy, "--config", "swallow-v2")
    assert ran.status == 0
    assert "this configuration has no subsets. Those of another one stay as they are: edu-top10 (" in ran.err
    assert f"Text out  swallow-spark export --corpus {copy} --subset accepted --output OUT" in ran.err
    assert (snapshot(copy / "subsets"), ids(copy, "select")) == (before, units)
    said = call("export", "--corpus", copy, "--subset", "edu-top10", "--output", copy.parent / "o").complaint
    assert "no such subset is configured (there is: survivors, accepted): it is one of another configuration" in said
    assert call("select", "--corpus", copy, "--config", "demo").status == 0
    assert (snapshot(copy / "subsets"), ids(copy, "select")) == (before, units)


@pytest.mark.parametrize("command", ["build", "import", "select", "add-crawl"])
def test_each_command_that_writes_subsets_asks(built: Path, tmp_path: Path, warcs: list[Path], command: str) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "本文"}\n')
    listing = tmp_path / "crawl-data" / "CC-MAIN-2025-30" / "warc.paths.gz"
    listing.parent.mkdir(parents=True)
    listing.write_bytes(gzip.compress(b"0.warc.gz\n"))
    shutil.copy(warcs[0], tmp_path / "0.warc.gz")
    before = snapshot(built)
    more: dict[str, list[str | Path]] = {
        "build": ["--config", "demo", "--crawl", "c", *warcs],
        "import": ["--crawl", "d", "--until", "select", tmp_path / "texts.jsonl"],
        "add-crawl": ["CC-MAIN-2025-30", "--base-url", tmp_path],
    }
    ran = call(command, "--corpus", built, "--set", OTHER, *more.get(command, []))
    assert ran.status == 2
    said = ran.err.splitlines()[-1]
    for part in ("delete edu-top10 (", "and replace wiki-top10 (", "configuration demo on", "[subsets]"):
        assert part in said
    assert "Agree with --replace" in said
    assert snapshot(built) == before


def test_discard_names_the_subsets_that_go(copy: Path) -> None:
    ran = call("discard", "--corpus", copy, "--stage", "score")
    assert ran.status == 0
    assert "subset edu-top10-30 (" in ran.err
    assert ran.err.count("characters): deleted") == 4
