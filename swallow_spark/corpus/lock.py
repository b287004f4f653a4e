"""The lock of a corpus: a file that says who is at work."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from swallow_spark.errors import CorpusError
from swallow_spark.files.storage import Root

_LOCK: Final = "lock.json"


@contextmanager
def lock(root: Root) -> Iterator[None]:
    """Keeps other runs out. The lock of a process that is gone from this machine is taken over.

    Raises CorpusError where another run holds it, or nothing can be written there.
    """
    owner = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "namespace": _process_namespace(),
        "started": _process_start(os.getpid()),
        "user": os.environ.get("USER") or str(os.getuid()),  # containers have users without a name
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    content = json.dumps(owner).encode()
    try:
        if not root.create_exclusively(_LOCK, content):
            _take_over(root)
            if not root.create_exclusively(_LOCK, content):
                raise CorpusError(f"{root.location}: another run has just taken it over")
    except OSError as error:
        raise CorpusError(f"{root.location}: can't be written: {error.strerror or error}") from None
    try:
        yield
    finally:
        if _content(root) == content:
            root.delete(_LOCK)


def _content(root: Root) -> bytes | None:
    """What the lock says, empty where its writer was killed or found no room; None where there is none."""
    try:
        return root.read_bytes(_LOCK)
    except OSError:
        return None


def take_away(root: Root) -> str | None:
    """Takes the lock away whoever holds it: for the user who knows that that run is gone. Who held it and since when;
    None where there was no lock. Raises CorpusError where its process is alive on this machine."""
    content = _content(root)
    if content is None:
        return None
    owner = _owner_of(content)
    if _is_here(owner) and _process_start(owner.get("pid", 0)) == owner.get("started"):
        raise CorpusError(f"{root.location}: that run is alive ({_told(owner)}): stop it first")
    root.delete(_LOCK)
    return _told(owner)


def holder(root: Root) -> str | None:
    """Who holds the lock, and since when; None where there is none."""
    content = _content(root)
    return None if content is None else _told(_owner_of(content))


def _is_here(owner: dict[str, Any]) -> bool:
    """Whether the owner is, or was, a process of this machine."""
    namespace = _process_namespace()
    return owner.get("host") == socket.gethostname() and owner.get("namespace", namespace) == namespace


def _told(owner: dict[str, Any]) -> str:
    told = "{user}@{host}, process {pid}, since {since}".format_map({**dict.fromkeys(_TOLD, "?"), **owner})
    try:
        age = datetime.now(UTC) - datetime.fromisoformat(str(owner.get("since")))
    except (ValueError, TypeError):
        return told
    hours = age.total_seconds() / 3600
    return f"{told}, {hours:.1f} hours ago" if hours >= 0 else f"{told}, which is ahead of this machine's clock"


def _take_over(root: Root) -> None:
    """Takes away the lock of a process that is gone. Raises CorpusError where somebody holds it."""
    judged = _content(root) or b""
    owner = _owner_of(judged)
    if _is_here(owner) and _process_start(owner.get("pid", 0)) != owner.get("started"):
        # Moved away rather than deleted: of two runs that judge the same dead lock, one moves that, and the other what
        # the first has put in its place; it sees so, and puts it back.
        aside = f"lock-{uuid4().hex}.json"
        root.move(_LOCK, aside)
        taken = root.read_bytes(aside)
        root.delete(aside)
        if taken == judged:
            return
        root.create_exclusively(_LOCK, taken)
        owner = _owner_of(taken)
    raise CorpusError(
        f"{root.location}: in use by another run ({_told(owner)}); if that is gone for certain, take its lock away: "
        f"`swallow-spark unlock --corpus {root.location} --force` (it is {_LOCK})"
    )


_TOLD: Final = ("host", "pid", "user", "since")


def _owner_of(lock: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(lock))
    except ValueError:
        return {}


def _process_namespace() -> str | None:
    """Containers of one host may give the same number to different processes."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


def _process_start(pid: int) -> str | None:
    """When a process of this machine started, in a form that tells it from a later one of the same number; None where
    it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        pass
    try:
        os.kill(pid, 0)  # no /proc on this system: a live process of that number is taken for the owner
    except ProcessLookupError:
        return None
    except PermissionError:
        return "?"
    return "?"
