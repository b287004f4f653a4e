"""The lock of a corpus: runs that are refused, locks of processes that are gone, clocks and full disks."""

import errno
import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from swallow_spark.corpus import lock
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


LOCK = """
import os, sys
from swallow_spark.corpus import lock
from swallow_spark.corpus.corpus import Corpus
with Corpus.open(sys.argv[1]).lock():
    print("locked", flush=True)
    sys.stdin.read()
    os._exit(9)
"""


@contextmanager
def another_run(corpus: Corpus) -> Iterator[None]:
    """Holds the lock in this block, and dies at its end without freeing it."""
    command = [sys.executable, "-c", LOCK, corpus.root.location]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout
        assert run.stdout.readline() == b"locked\n"
        yield
        run.communicate()
        assert run.returncode == 9
    assert holder(corpus.root)


def rewritten(corpus: Corpus, **values: object) -> None:
    """Other values in the lock that a run holds: it stays the same file."""
    path = corpus.root.local_path("lock.json")
    owner = {**json.loads(path.read_bytes()), **values}
    path.write_text(json.dumps({key: value for key, value in owner.items() if value is not None}))


def test_lock_of_a_process_that_is_gone_is_taken_over(corpus: Corpus) -> None:
    with another_run(corpus):
        pass
    with corpus.lock():
        assert json.loads(corpus.root.read_bytes("lock.json"))["pid"] == os.getpid()
    assert holder(corpus.root) is None


def test_lock_of_a_live_run_is_respected_whatever_its_number_and_host_are_here(corpus: Corpus) -> None:
    """As of a container, which may have our host name, and where its number may be that of a process of ours or of
    none."""
    with another_run(corpus):
        for pid in (os.getpid(), 2**22 + 1):
            rewritten(corpus, pid=pid)
            with pytest.raises(CorpusError, match=f"in use by another run .*process {pid}"), corpus.lock():
                pass
            with pytest.raises(CorpusError, match="alive"):
                take_away(corpus.root)
    rewritten(corpus, pid=os.getpid(), host="elsewhere")
    with corpus.lock():
        pass


def as_over_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.major", lambda device: 0)


def test_lock_of_an_earlier_boot_is_taken_over_on_a_disk_alone(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with another_run(corpus):
        pass
    later = tmp_path / "boot_id"
    later.write_text("another\n")
    monkeypatch.setattr(lock, "_BOOT_ID", later)
    as_over_a_network(monkeypatch)
    with pytest.raises(CorpusError, match="in use by another run"), corpus.lock():  # maybe a machine of the same name
        pass
    monkeypatch.setattr("os.major", lambda device: 8)
    with corpus.lock():
        pass


def test_over_a_network_the_lock_of_the_same_boot_is_taken_over(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_over_a_network(monkeypatch)
    with another_run(corpus), pytest.raises(CorpusError, match="in use"), corpus.lock():
        pass
    with corpus.lock():
        pass


def test_without_flock_the_first_one_has_the_lock_and_no_other_is_taken_over(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "no flock here")

    monkeypatch.setattr("fcntl.flock", unsupported)
    with corpus.lock(), pytest.raises(CorpusError, match="in use by another run"), corpus.lock():
        pass
    with another_run(corpus):
        pass
    with pytest.raises(CorpusError, match="in use by another run"), corpus.lock():
        pass
    assert take_away(corpus.root)
    with corpus.lock():
        pass


@pytest.mark.parametrize(
    "content", [b'{"host": "elsewhere", "pid": 1, "user": "ana"}', b"", b"{}", b"[1]"], ids=["release", "", "{}", "[]"]
)
def test_lock_of_an_earlier_release_or_unknown_is_respected(corpus: Corpus, content: bytes) -> None:
    corpus.root.write_atomically("lock.json", content)
    with pytest.raises(CorpusError, match="in use by another run") as caught, corpus.lock():
        pass
    assert one_line(str(caught.value))
    assert ("ana@elsewhere" in str(caught.value)) == (b"ana" in content)
    assert corpus.root.read_bytes("lock.json") == content


def test_of_runs_that_find_the_same_dead_lock_one_gets_it(corpus: Corpus) -> None:
    location = corpus.root.location
    for _ in range(5):
        with another_run(corpus):
            pass
        command = [sys.executable, "-c", TRY, location]
        with ExitStack() as stack:
            runs = [
                stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
                for _ in range(4)
            ]
            said = [run.stdout.readline() for run in runs if run.stdout]
            assert sorted(said) == [b"locked\n", b"refused\n", b"refused\n", b"refused\n"]
            for run in runs:
                run.communicate()
    assert holder(corpus.root) is None


TRY = """
import sys
from swallow_spark.corpus.lock import lock
from swallow_spark.errors import CorpusError
from swallow_spark.files.storage import Root
try:
    with lock(Root(sys.argv[1])):
        print("locked", flush=True)
        sys.stdin.read()
except CorpusError:
    print("refused", flush=True)
"""


class Elsewhere(Root):
    """A directory as a store that knows no flock."""

    @property
    def is_local(self) -> bool:
        return False


def test_on_a_store_without_flock_the_lock_of_this_machine_alone_is_taken_over(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Elsewhere(corpus.root.location)
    monkeypatch.setattr(lock, "machine_cache", lambda: tmp_path)
    with lock.lock(root):
        with pytest.raises(CorpusError, match=f"in use by another run .*process {os.getpid()}"), lock.lock(root):
            pass
        with pytest.raises(CorpusError, match="alive"):
            take_away(root)
        dead = root.read_bytes("lock.json")
    assert holder(root) is None
    root.write_atomically("lock.json", dead)
    with lock.lock(root):
        assert root.read_bytes("lock.json") != dead
    theirs = b'{"host": "elsewhere", "pid": 1, "user": "ana"}'
    root.write_atomically("lock.json", theirs)
    with pytest.raises(CorpusError, match="ana@elsewhere"), lock.lock(root):
        pass
    assert root.read_bytes("lock.json") == theirs
    assert take_away(root)
    with lock.lock(root):
        pass


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
        rewritten(corpus, since=since)
        with pytest.raises(CorpusError, match=told), corpus.lock():
            pass
        with pytest.raises(CorpusError, match="alive"):
            take_away(corpus.root)
    with corpus.lock():  # it isn't what it was written as, so it stays; but nobody holds it any more
        pass
