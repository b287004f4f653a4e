"""The data card, from manifests alone: no session is needed."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import call
from small_corpus import IDS, commit, ingested

from swallow_spark.config.load import Config
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.errors import UsageError
from swallow_spark.pipeline import STAGES
from swallow_spark.report.card.facts import facts
from swallow_spark.report.card.markdown import markdown
from swallow_spark.stages.stage import Lineage
from swallow_spark.tables import GROUPS, VERDICTS

BOUNDS = {
    "num_letters": {"min": 10, "source": "a | paper\n<b>"},
    "ng_fraction": {"below": 0.05, "source": "code"},
}
EXPORT = {
    "format": "jsonl.zst",
    "tokenizer": None,
    "columns": ["doc_id", "text"],
    "subsets": {
        "best": {
            "documents": 1234,
            "characters": 5_000_000,
            "bytes": 9,
            "sample": {"share": "1/2", "seed": 3},
            "shards": [{"file": "best/best-00000-of-00001.jsonl.zst", "sha256": "ab" * 32}],
        }
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, Config]:
    config = Config.model_validate({"rules": {"preset": "p", "bounds": BOUNDS, "hosts": ["bad.example"]}})
    corpus, _ = ingested(tmp_path_factory.mktemp("card"), config)
    lineage = Lineage(STAGES, config, corpus)
    for stage in ("sketch", "measure"):
        commit(corpus, lineage.due(stage)[0], {})
    groups = [{"doc_id": doc_id, "num_duplicates": 0} for doc_id in IDS]
    commit(corpus, lineage.due("deduplicate")[0], {"groups": (GROUPS, groups, {})})
    verdicts = [{"doc_id": doc_id, "accepted": True, "reasons": []} for doc_id in IDS[:4]]
    sums = {"survivors": 10, "accepted": 4, "accepted_chars": 1628, "rejected:num_letters:low": 6}
    commit(corpus, lineage.due("decide")[0], {"verdicts/preset=p": (VERDICTS, verdicts, sums)})
    return corpus, config


def front_matter(card: str) -> tuple[dict[str, Any], str]:
    _, head, body = card.split("---\n", 2)
    return yaml.safe_load(head), body


def test_what_a_card_of_a_corpus_says(made: tuple[Corpus, Config]) -> None:
    head, body = front_matter(markdown(facts(*made, ["accepted"], None)))
    assert (head["language"], head["license"], head["size_categories"]) == (["ja"], "other", ["n<1K"])
    assert "configs" not in head
    assert "| accepted | 4 | 1,628 |" in body
    assert "| c | https://h | warc | 2 | 18 | 14 | 10 |" in body
    assert "secret" not in body
    assert "| num_letters | at least 10 | a \\| paper &lt;b> | 6 |" in body
    assert "| ng_fraction | not measured" in body
    assert "`bad.example`" in body
    for heading in ("Contents", "Sources", "Method", "Licences and terms", "Known limits", "Checksums", "Citation"):
        assert f"\n## {heading}\n" in body


def test_what_a_card_of_an_export_says(made: tuple[Corpus, Config]) -> None:
    head, body = front_matter(markdown(facts(*made, (), EXPORT)))
    assert head["configs"] == [{"config_name": "best", "data_files": "best/*.jsonl.zst"}]
    assert head["size_categories"] == ["1K<n<10K"]
    assert "| best | 1,234 | 5,000,000 | 9 |" in body
    assert f"| best/best-00000-of-00001.jsonl.zst | {'ab' * 32} |" in body
    assert "`best`: 1/2 (seed 3)" in body


def test_the_command(made: tuple[Corpus, Config], tmp_path: Path) -> None:
    corpus = made[0].root.location
    settings = ("--corpus", corpus, "--set", "rules.preset=p")
    written = call("card", *settings, "--output", tmp_path / "README.md")
    assert written.status == 0, written.err
    assert "exists already" in call("card", *settings, "--output", tmp_path / "README.md").complaint
    printed = call("card", *settings)
    assert printed.out == (tmp_path / "README.md").read_bytes()
    assert call("card", *settings, "--json").json["counts"]["accepted"] == 4
    assert "no such subset (there are: survivors, accepted)" in call("card", *settings, "--subset", "x").complaint
    with pytest.raises(UsageError, match="no such subset"):
        facts(*made, ["x"], None)
