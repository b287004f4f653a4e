"""Models that a URL names."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from misbehaving import Answer, Request, Web, breaking, good, refusing, serving
from places import MODELS

from swallow_spark.commands.running import _fetch_unpinned
from swallow_spark.config.access import Access
from swallow_spark.config.load import load, pinned, remembered, unpinned, with_sums
from swallow_spark.config.score import Classifier
from swallow_spark.errors import ConfigError, InputError
from swallow_spark.files import storage
from swallow_spark.files.http import HttpClient
from swallow_spark.stages.score import models
from swallow_spark.stages.score.models import model_file

MODEL = MODELS / "demo-wiki.ftz"
CONTENT = MODEL.read_bytes()
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.tempfile, "gettempdir", lambda: str(tmp_path))


def classifier(url: str, sha256: str = SUM) -> Classifier:
    return Classifier(path=url, sha256=sha256, weights={"__label__positive": 1})


def impatient(**settings: Any) -> HttpClient:
    return HttpClient(Access(attempts=1, seconds=5, **settings))


def cached(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("swallow-spark-*/models/*"))


def test_a_model_is_fetched_once_and_again_where_its_copy_is_damaged(tmp_path: Path) -> None:
    with serving(Web(files={"/m.bin": CONTENT})) as web:
        wanted = classifier(f"{web.url}/m.bin")
        copy = model_file(wanted)
        assert copy.read_bytes() == CONTENT
        assert model_file(wanted) == model_file(classifier("https://mirror.example/other-name.bin")) == copy
        assert len(web.requests) == 1
        copy.write_bytes(CONTENT[:-1])
        assert model_file(wanted).read_bytes() == CONTENT
        assert len(web.requests) == 2
    assert cached(tmp_path) == [SUM]


def test_other_stores_have_models_too(tmp_path: Path) -> None:
    assert model_file(classifier(MODEL.as_uri())).read_bytes() == CONTENT
    with pytest.raises(InputError, match=r"none\.bin: can't be read"):
        model_file(classifier((tmp_path / "none.bin").as_uri(), "0" * 64))


def to_a_private_address(request: Request) -> None:
    refusing(302, Location=f"http://localhost:{request.server.server_address[1]}/m.bin")(request)


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ([refusing(404)], "HTTP status 404"),
        ([refusing(200, b"<!DOCTYPE html><p>Log in", Content_Type="text/html")], "an HTML or XML page"),
        ([good(cut=1000)], r"1000 bytes read, \d+ more expected"),
        ([breaking], "can't be read"),
        ([to_a_private_address], "redirected to http://localhost.* not a public address"),
        ([refusing(200, CONTENT[:-7])], f"{len(CONTENT) - 7} bytes with sha256 .*, not {SUM}"),
    ],
)
def test_what_is_not_the_model_is_an_error_and_no_copy(orders: list[Answer], message: str, tmp_path: Path) -> None:
    with serving(Web(files={"/m.bin": CONTENT})) as web:
        web.orders["/m.bin"] = orders
        with pytest.raises(InputError, match=message) as raised:
            model_file(classifier(f"{web.url}/m.bin"), impatient())
        assert f"{web.url}/m.bin" in str(raised.value)
    assert cached(tmp_path) == []


def test_what_does_not_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_MAX_BYTES", len(CONTENT) - 1)
    with serving(Web(files={"/m.bin": CONTENT})) as web, pytest.raises(InputError, match=r"more than .* no model"):
        model_file(classifier(f"{web.url}/m.bin"), impatient())
    assert cached(tmp_path) == []


def test_the_configuration_takes_urls(tmp_path: Path) -> None:
    def config(*lines: str) -> Any:
        (tmp_path / "c.toml").write_text('extends = "demo"\n[classifiers.wiki]\n' + "\n".join(lines))
        return load(tmp_path / "c.toml")

    url = "https://example.org/m.bin"
    by_url = config(f'path = "{url}"', f'sha256 = "{SUM}"').classifiers["wiki"]
    assert by_url.path == url
    assert by_url.meaning() == load("demo").classifiers["wiki"].meaning()  # where a model comes from changes no score
    with pytest.raises(ConfigError, match=r"classifiers\.wiki\.path: .*gives access"):
        config('path = "https://me:secret@example.org/m.bin"', f'sha256 = "{SUM}"')


def test_a_url_without_a_sum_is_pinned_to_what_the_corpus_was_scored_with(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(f'extends = "demo"\n[classifiers.wiki]\npath = "{MODEL.as_uri()}"\n')
    first = load(tmp_path / "c.toml")
    assert list(unpinned(first)) == ["wiki"]
    sums = _fetch_unpinned(first)
    assert sums == {"wiki": SUM}
    assert cached(tmp_path) == [SUM]
    pin = with_sums(first, sums)
    assert not unpinned(pin)
    assert pin.classifiers["wiki"].meaning() == load("demo").classifiers["wiki"].meaning()

    def record() -> dict[str, Any]:
        return {"config": json.loads(first.model_dump_json()), "models": {"wiki": "0" * 64, "edu": ""}}

    assert remembered(record(), str(tmp_path))["classifiers"]["wiki"]["sha256"] == "0" * 64
    again = pinned(load(tmp_path / "c.toml"), record()).classifiers["wiki"]
    assert again.content == "0" * 64
    with pytest.raises(InputError, match=f"sha256 {SUM}, not {'0' * 64}"):
        model_file(again)
