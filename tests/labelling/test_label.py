"""Labelling against a server on the loopback address that behaves well or badly."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from llm_server import Answer, Behaviour, FakeServer, completion, error, serving

from swallow_spark.config.label import Label
from swallow_spark.errors import InputError, UsageError
from swallow_spark.labelling import endpoint as endpoint_module
from swallow_spark.labelling.endpoint import Endpoint, EndpointError
from swallow_spark.labelling.label import label, log_path
from swallow_spark.labelling.pace import Pace
from swallow_spark.labelling.texts import read_labels
from swallow_spark.tables import LABELS

QUICK: dict[str, Any] = {"back_off_seconds": 0.01, "timeout_seconds": 5.0, "concurrency": 4}


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.parquet"
    rows = [{"doc_id": 1000 + i, "url": f"https://a.example/{i}", "text": f"本文{i % 20}番。"} for i in range(30)]
    pq.write_table(pa.Table.from_pylist(rows), path)  # 30 rows, 20 wordings
    return path


def by_number(body: dict[str, Any], _: int) -> Answer:
    """The score that a text's number leaves when divided by 4."""
    content = body["messages"][0]["content"]
    return completion(f"理由。\nEducational score: {int(content.partition('本文')[2].partition('番')[0]) % 4}")


def run(server: FakeServer | str, texts: Path, output: Path, **settings: Any) -> dict[str, Any]:
    url = server if isinstance(server, str) else server.url
    section = Label(**(QUICK | settings))
    endpoint = Endpoint(url, "TEST_KEY", section.timeout_seconds, section.concurrency)
    return label(texts, output, endpoint, None, section, lambda _: None)


def rows(output: Path) -> list[dict[str, Any]]:
    if output.suffix == ".parquet":
        found = pq.read_table(output)
        assert found.schema.equals(LABELS)
        return found.to_pylist()
    return [json.loads(line) for line in output.read_text().splitlines()]


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_each_wording_is_asked_once_and_every_row_gets_its_label(suffix: str, texts: Path, tmp_path: Path) -> None:
    output = tmp_path / f"labels.{suffix}"
    with serving(by_number) as server:
        summary = run(server, texts, output)
        assert len(server.asked) == 20
        assert summary["texts"] == summary["labelled"] == 30
        assert summary["scores"]["1"] == {"documents": 8, "fraction": 8 / 30}
        assert summary["tokens"] == 20 * 110
        assert run(server, texts, output)["requests"] == 0  # again: nothing is asked twice
        assert len(server.asked) == 20
    found = rows(output)
    assert [row["doc_id"] for row in found] == list(range(1000, 1030))
    assert [row["score"] for row in found] == [i % 20 % 4 for i in range(30)]
    assert {row["outcome"] for row in found} == {"scored"}
    assert {row["model"] for row in found} == {"tiny"}
    assert found[3]["text"] == "本文3番。"
    assert found[3]["answer"] == "理由。\nEducational score: 3"


def test_a_stratum_of_the_sample_goes_with_the_label(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text(
        '{"text": "本文2番", "stratum": "0.3 to 0.6"}\n{"text": "本文3番", "stratum": 7}\n'
    )
    for name in ("labels.parquet", "labels.jsonl"):
        with serving(by_number) as server:
            run(server, tmp_path / "texts.jsonl", tmp_path / name)
        (found,) = read_labels(tmp_path / name)
        assert found == rows(tmp_path / name)
        assert [(row["score"], row["stratum"]) for row in found] == [(2, "0.3 to 0.6"), (3, "7")]


def test_as_many_questions_are_open_as_configured(texts: Path, tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def behave(body: dict[str, Any], number: int) -> Answer:
        together.wait(timeout=10)  # answers when four are there; 20 questions are five fours
        return by_number(body, number)

    with serving(behave) as server:
        run(server, texts, tmp_path / "labels.parquet", concurrency=4)
        assert server.most_at_once == 4


def test_only_the_beginning_of_a_long_text_is_asked_about(tmp_path: Path) -> None:
    text = "本文2番" + "長" * 1000 + "終"
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": text}) + "\n")
    with serving(by_number) as server:
        run(server, tmp_path / "texts.jsonl", tmp_path / "labels.jsonl", max_chars=100)
        content = server.asked[0]["messages"][0]["content"]
    assert content.count("長") == 96
    assert "終\n" not in content
    assert rows(tmp_path / "labels.jsonl")[0]["text"] == text  # as training text it is whole


def test_another_question_is_another_answer(texts: Path, tmp_path: Path) -> None:
    with serving(by_number) as server:
        run(server, texts, tmp_path / "labels.parquet")
        run(server, texts, tmp_path / "labels.parquet", temperature=1.0)
        assert len(server.asked) == 40
        assert run(server, texts, tmp_path / "labels.parquet")["requests"] == 0


def test_refusals_and_unparsable_answers_are_counted_and_kept(texts: Path, tmp_path: Path) -> None:
    strange = [
        completion(None, message={"refusal": "できません"}),
        completion("Educational score: 3", finish_reason="content_filter"),
        completion("評価は3です"),
        error(400, "too many tokens"),
        completion("Educational score: 3", tokens=None),
    ]

    def behave(body: dict[str, Any], number: int) -> Answer:
        position = int(body["messages"][0]["content"].partition("本文")[2].partition("番")[0])
        return strange[position] if position < len(strange) else by_number(body, number)

    with serving(behave) as server:
        summary = run(server, texts, tmp_path / "labels.parquet", constraint="none")
        assert run(server, texts, tmp_path / "labels.parquet", constraint="none")["requests"] == 0
    assert [summary[name] for name in ("refused", "unparsable", "failed", "remaining")] == [4, 2, 2, 0]
    found = rows(tmp_path / "labels.parquet")
    assert [row["outcome"] for row in found[:5]] == ["refused", "refused", "unparsable", "failed", "scored"]
    assert [row["score"] for row in found[:5]] == [None, None, None, None, 3]
    assert found[0]["answer"] == "できません"
    assert found[3]["answer"] == "HTTP status 400: too many tokens"


PASSING = {
    "429": error(429),
    "429 with a time": error(429, Retry_After="0.05"),
    "429 with a date gone by": error(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
    "500": error(500),
    "503 that is no JSON": (503, {}, b"\xff<html>"),
    "broken JSON": (200, {}, b'{"choices": [{"mess'),
    "JSON of another kind": (200, {}, b"[]"),
    "no choice": (200, {}, b'{"choices": []}'),
    "content of another kind": completion([1]),  # type: ignore[arg-type]
    "a body cut off": (200, {"Content-Length": "1000"}, b"{"),
    "hanging up": None,
}


@pytest.mark.parametrize("trouble", PASSING)
def test_what_passes_is_tried_again(trouble: str, texts: Path, tmp_path: Path) -> None:
    def behave(body: dict[str, Any], number: int) -> Answer | None:
        return PASSING[trouble] if number % 3 == 1 else by_number(body, number)

    with serving(behave) as server:
        summary = run(server, texts, tmp_path / "labels.parquet", attempts=10)
        assert summary["labelled"] == 30
        assert summary["requests"] == len(server.asked) > 20
        assert summary["failed"] == summary["unparsable"] == 0


def test_a_server_that_takes_too_long_is_asked_again(texts: Path, tmp_path: Path) -> None:
    first: list[dict[str, Any]] = []
    asked_again = threading.Event()

    def behave(body: dict[str, Any], number: int) -> Answer:
        if number == 1:
            first.append(body)
            assert asked_again.wait(30)
        elif first and body == first[0]:
            asked_again.set()
        return by_number(body, number)

    with serving(behave) as server:  # more attempts than a machine that stalls takes
        summary = run(server, texts, tmp_path / "labels.parquet", timeout_seconds=0.3, attempts=20)
    assert asked_again.is_set()
    assert summary["labelled"] == 30
    assert summary["requests"] >= 21


def test_all_threads_wait_as_long_as_the_server_asks(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[float] = []
    lock = threading.Lock()
    is_told, pause = threading.Event(), Pace.pause

    def pause_and_tell(pace: Pace, seconds: float) -> None:
        pause(pace, seconds)
        is_told.set()

    def behave(body: dict[str, Any], number: int) -> Answer:
        with lock:
            times.append(time.monotonic())
        if number == 1:
            return error(429, Retry_After="0.5")
        assert is_told.wait(30)  # one that was under way: the next comes when all threads can know
        return by_number(body, number)

    with monkeypatch.context() as patched, serving(behave) as server:
        patched.setattr(Pace, "pause", pause_and_tell)
        run(server, texts, tmp_path / "labels.parquet", concurrency=2)
    late = [at for at in times if at - times[0] < 0.45]
    assert len(late) <= 2  # the refused one, and one that was under way
    with (
        serving(lambda *_: error(429, Retry_After="86400")) as server,
        pytest.raises(EndpointError, match="asks to wait for 86400 s"),
    ):
        run(server, texts, tmp_path / "other.parquet")


def test_a_dying_server_ends_the_run_and_the_next_one_goes_on(texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "labels.parquet"

    def dying(body: dict[str, Any], number: int) -> Answer | None:
        return by_number(body, number) if number <= 7 else None

    with serving(dying) as server, pytest.raises(EndpointError, match="no longer answers"):
        run(server, texts, output, attempts=2)
    kept = rows(output)
    assert len({row["text"] for row in kept}) == 7
    with serving(by_number) as server:
        assert run(server, texts, output)["labelled"] == 30
        assert len(server.asked) == 13
    assert rows(output)[: len(kept)] != []


@pytest.mark.parametrize("behave", [lambda *_: None, lambda *_: error(500)])
def test_a_server_that_never_answers_fails_the_run(behave: Behaviour, texts: Path, tmp_path: Path) -> None:
    with serving(behave) as server, pytest.raises(EndpointError):
        run(server, texts, tmp_path / "labels.parquet", attempts=2)
    assert rows(tmp_path / "labels.parquet") == []


def test_a_refused_connection_is_told_before_any_work(texts: Path, tmp_path: Path) -> None:
    with serving(by_number) as server:
        pass
    with pytest.raises(UsageError, match="--endpoint http://127"):
        run(server, texts, tmp_path / "labels.parquet")
    assert not (tmp_path / "labels.parquet").exists()


def test_a_wrong_key_ends_the_run_and_the_key_is_shown_nowhere(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-secret")
    with serving(lambda *_: error(401, "wrong key sk-secret")) as server:
        with pytest.raises(EndpointError, match="401") as raised:
            run(server, texts, tmp_path / "labels.parquet")
        assert server.headers[0]["Authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in str(raised.value)
    with serving(lambda *_: error(400, "bad sk-secret")) as server:
        run(server, texts, tmp_path / "labels.parquet", constraint="none")
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"bad" in everything
    assert b"sk-secret" not in everything
    monkeypatch.setenv("TEST_KEY", "sk\n")
    with pytest.raises(UsageError, match="TEST_KEY"):
        run(server, texts, tmp_path / "labels.parquet")


def test_a_redirect_is_not_followed(texts: Path, tmp_path: Path) -> None:
    with (
        serving(lambda *_: (307, {"Location": "http://127.0.0.1:9/"}, b"")) as server,
        pytest.raises(EndpointError, match="307"),
    ):
        run(server, texts, tmp_path / "labels.parquet")


def test_a_budget_of_requests_or_tokens_is_kept(texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "labels.parquet"
    with serving(by_number) as server:
        summary = run(server, texts, output, max_requests=5)
        assert (summary["requests"], summary["stopped"], len(server.asked)) == (5, "max_requests", 5)
        assert summary["remaining"] == 30 - summary["labelled"] > 0
        one = len(server.asked[0]["messages"][0]["content"]) + 10  # reserved for a question
        summary = run(server, texts, output, max_tokens=3 * 110 + one, max_answer_tokens=10, concurrency=1)
        assert summary["stopped"] == "max_tokens"
        assert summary["tokens"] <= 3 * 110 + one
        assert summary["requests"] == 4  # each took 110, less than was reserved
        assert run(server, texts, output)["labelled"] == 30


def test_rates_space_the_requests(texts: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    with serving(by_number) as server:
        run(server, texts, tmp_path / "labels.parquet", requests_per_minute=1200)  # 50 ms each
    assert time.monotonic() - started >= 19 * 0.05


def test_how_the_answer_is_constrained(texts: Path, tmp_path: Path) -> None:
    def first(owned_by: str, **settings: Any) -> dict[str, Any]:
        output = tmp_path / f"{owned_by}-{settings.get('constraint')}.parquet"
        with serving(by_number, owned_by) as server:
            run(server, texts, output, **settings)
            return server.asked[0]

    assert "Educational score" in first("llamacpp")["grammar"]
    assert first("vllm")["response_format"]["json_schema"]["strict"] is True
    assert first("vllm", constraint="choice")["structured_outputs"]["choice"][3] == "Educational score: 3"
    assert first("llamacpp", constraint="choice")["grammar"] == 'root ::= "Educational score: " [0-3]'
    assert not {"grammar", "response_format", "structured_outputs"} & first("vllm", constraint="none").keys()


def test_a_constraint_that_the_server_refuses_is_dropped_once_for_all(texts: Path, tmp_path: Path) -> None:
    def behave(body: dict[str, Any], number: int) -> Answer:
        return error(400, "unknown response_format") if "response_format" in body else by_number(body, number)

    with serving(behave) as server:
        summary = run(server, texts, tmp_path / "labels.parquet", concurrency=1)
        assert (summary["constraint"], summary["labelled"], len(server.asked)) == ("none", 30, 21)
        summary = run(server, texts, tmp_path / "strict.parquet", constraint="json_schema")
        assert summary["failed"] == 30


def test_an_answer_without_end_is_cut(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "MAX_ANSWER_BYTES", 1000)
    with (
        serving(lambda *_: completion("長" * 2000)) as server,
        pytest.raises(EndpointError, match="than 1000 bytes"),
    ):
        run(server, texts, tmp_path / "labels.parquet", attempts=1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1"),
        ("[]", "line 1: not a JSON object"),
        ("{}", "needs a text"),
        ('{"text": 3}', "needs a text"),
        ('{"doc_id": 5}', "page 5 has no text"),
    ],
)
def test_texts_that_are_none_are_refused(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text(line + "\n")
    with serving(by_number) as server, pytest.raises(InputError, match=message):
        run(server, tmp_path / "texts.jsonl", tmp_path / "labels.parquet")


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a/", "http://", "https://me:pw@host/v1", "http://h/v1?key=x"])
def test_an_endpoint_is_a_url_without_secrets(url: str) -> None:
    with pytest.raises(UsageError, match="--endpoint") as raised:
        Endpoint(url, "TEST_KEY", 1, 1)
    assert "pw" not in str(raised.value).replace("password", "")


def test_the_log_is_beside_the_output(tmp_path: Path) -> None:
    assert log_path(tmp_path / "a.parquet") == tmp_path / "a.parquet.answers.jsonl"
