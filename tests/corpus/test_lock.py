"""The lock of a corpus: runs that are refused, locks of processes that are gone, clocks and full disks."""

import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from swallow_spark.corpus.corpus import Corpus
from swallow_spark.corpus.lock import holder, take_away
from swallow_spark.errors import CorpusError
from swallow_spark.files.storage import Root


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus.open_or_create(str(tmp_path / "corpus"))


def one_line(message: str) -> bool:
    return "\n" not in message and len(message) < 500


def test_second_run_is_refused_and_told_who_holds_it(corpus: Corpus) -> None:
    with corpus.lock():
        with pytest.raises(CorpusError) as caught, Corpus.open(corpus.root.location).lock():
            pass
        message = str(caught.value)
        assert f"process {os.getpid()}" in message
        assert f"@{socket.gethostname()}" in message
        assert "lock.json" in message
        assert one_line(message)
        assert corpus.root.exists("lock.json")
    assert not corpus.root.exists("lock.json")
    with corpus.lock():
        pass


def test_lock_is_freed_after_a_failure(corpus: Corpus) -> None:
    with pytest.raises(ZeroDivisionError), corpus.lock():
        raise ZeroDivisionError
    corpus.root.write_atomically("manifests/ingest/crawl=a/0.json", b"{")
    with pytest.raises(CorpusError, match="damaged"), corpus.lock():
        pass
    assert not corpus.root.exists("lock.json")


LOCK_AND_DIE = """
import os, sys
from swallow_spark.corpus import Corpus
with Corpus.open(sys.argv[1]).lock():
    os._exit(9)
"""


def test_lock_of_a_process_that_is_gone_is_taken_over(corpus: Corpus) -> None:
    done = subprocess.run([sys.executable, "-c", LOCK_AND_DIE, corpus.root.location], check=False)
    assert done.returncode == 9
    assert corpus.root.exists("lock.json")
    with corpus.lock():
        assert json.loads(corpus.root.read_bytes("lock.json"))["pid"] == os.getpid()


def test_lock_of_an_earlier_process_with_our_number_is_taken_over(corpus: Corpus) -> None:
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "started": "1", "user": "x", "since": "x"}
    corpus.root.write_atomically("lock.json", json.dumps(owner).encode())
    with corpus.lock():
        pass


@pytest.mark.parametrize("content", [b'{"host": "elsewhere", "pid": 1, "user": "ana"}', b"", b"{}"])
def test_lock_of_another_machine_or_unknown_is_respected(corpus: Corpus, content: bytes) -> None:
    corpus.root.write_atomically("lock.json", content)
    with pytest.raises(CorpusError, match="in use by another run") as caught, corpus.lock():
        pass
    assert one_line(str(caught.value))
    assert ("ana@elsewhere" in str(caught.value)) == (b"ana" in content)
    assert corpus.root.read_bytes("lock.json") == content


def test_of_two_runs_that_judge_the_same_dead_lock_one_gets_it(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = {"host": socket.gethostname(), "pid": os.getpid(), "started": "1", "user": "x", "since": "x"}
    corpus.root.write_atomically("lock.json", json.dumps(dead).encode())
    theirs = b'{"host": "elsewhere", "pid": 1, "user": "ana"}'
    move = Root.move

    def after_the_other(root: Root, relative: str, to: str) -> None:
        """The other run has taken the dead lock over between our judging it and our moving it."""
        root.delete("lock.json")
        root.write_atomically("lock.json", theirs)
        move(root, relative, to)

    monkeypatch.setattr(Root, "move", after_the_other)
    with pytest.raises(CorpusError, match="ana@elsewhere"), corpus.lock():
        pass
    assert corpus.root.read_bytes("lock.json") == theirs


def test_a_lock_that_is_no_longer_ours_stays(corpus: Corpus) -> None:
    with corpus.lock():
        corpus.root.write_atomically("lock.json", b"{}")
    assert corpus.root.read_bytes("lock.json") == b"{}"


@contextmanager
def room_for(num_bytes: int) -> Iterator[None]:
    """Files can't grow beyond so many bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_no_lock_and_nothing_else(corpus: Corpus) -> None:
    with room_for(3):
        with pytest.raises(CorpusError, match="can't be written"), corpus.lock():
            pass
        with pytest.raises(OSError, match="too large"):
            corpus.root.write_atomically("manifests/ingest/crawl=a/0.json", b"more than three")
    assert corpus.root.files("") == ["corpus.json"]
    with corpus.lock():
        pass


def test_a_lock_whose_writer_was_killed_before_it_said_anything_can_be_taken_away(corpus: Corpus) -> None:
    assert (holder(corpus.root), take_away(corpus.root)) == (None, None)
    corpus.root.write_atomically("lock.json", b"")
    told = holder(corpus.root)
    assert told
    assert take_away(corpus.root) == told
    with corpus.lock():
        pass


@pytest.mark.parametrize(
    ("since", "told"), [("2001-01-01T00:00:00+00:00", "hours ago"), ("2999-01-01T00:00:00+00:00", "ahead")]
)
def test_who_holds_a_lock_is_no_matter_of_clocks(corpus: Corpus, since: str, told: str) -> None:
    """A clock that was set forward or back neither frees the lock of a live process nor keeps that of a dead one."""
    with corpus.lock():
        alive = json.loads(corpus.root.read_bytes("lock.json"))
        corpus.root.write_atomically("lock.json", json.dumps({**alive, "since": since}).encode())
        with pytest.raises(CorpusError, match=told), corpus.lock():
            pass
        with pytest.raises(CorpusError, match="alive"):
            take_away(corpus.root)
    corpus.root.write_atomically("lock.json", json.dumps({**alive, "started": "1", "since": since}).encode())
    with corpus.lock():
        pass
