"""The lock of a corpus: a file that says who is at work, and that its process holds by flock as long as it lives.

The system frees an flock when its process ends, however it ends: a file that can be held is nobody's, whatever number
and host name the process had. But where a file system doesn't pass them on, the flocks of other machines aren't seen.
So a lock is taken over only where its file lies on a disk of this machine, or was made by the same mount since this
machine was started.

For a store without flock, a file of this machine with the same content is held in the lock's place.
"""

import errno
import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from swallow_spark.errors import CorpusError
from swallow_spark.files.storage import Root, machine_cache

_LOCK: Final = "lock.json"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")  # another one each time that a machine is started
_TOLD: Final = ("host", "pid", "user", "since")


@contextmanager
def lock(root: Root) -> Iterator[None]:
    """Keeps other runs out. The lock of a process that is gone from this machine is taken over.

    Raises CorpusError where another run holds it, or nothing can be written there.
    """
    with ExitStack() as held:
        try:
            content = json.dumps(_owner(root)).encode()
            (_take if root.is_local else _take_elsewhere)(root, content, held)
        except OSError as error:
            raise CorpusError(f"{root.location}: can't be written: {error.strerror or error}") from None
        try:
            yield
        finally:
            if _content(root) == content:
                root.delete(_LOCK)


def _owner(root: Root) -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "mount": _mount(root),
        "user": os.environ.get("USER") or str(os.getuid()),  # containers have users without a name
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "id": uuid4().hex,
    }


def take_away(root: Root) -> str | None:
    """Takes the lock away whoever holds it: for the user who knows that that run is gone. Who held it and since when;
    None where there was no lock. Raises CorpusError where its process is alive on this machine."""
    content = _content(root)
    if content is None:
        return None
    told = _told(content)
    with suppress(FileNotFoundError), _open(_held_file(root)) as file:
        if _hold(file) is False and file.read() == content:
            raise CorpusError(f"{root.location}: that run is alive ({told}): stop it first")
    root.delete(_LOCK)
    return told


def holder(root: Root) -> str | None:
    """Who holds the lock, and since when; None where there is none."""
    content = _content(root)
    return None if content is None else _told(content)


def _take(root: Root, content: bytes, held: ExitStack) -> None:
    """Makes the lock, which is held until `held` is left. Raises CorpusError where another run holds it."""
    path, file = root.local_path(_LOCK), None
    while not file:
        try:
            file = held.enter_context(path.open("xb", buffering=0))
        except FileExistsError:
            _remove_dead(root, path)
    try:
        with suppress(OSError):  # this file system has no flock: who finds the file respects it
            fcntl.flock(file, fcntl.LOCK_EX)
        _write(file, content)  # empty until now, which nobody takes over
    except BaseException:
        path.unlink()
        raise


def _remove_dead(root: Root, path: Path) -> None:
    """Removes the lock of a process that is gone. Raises CorpusError where there may be one."""
    with suppress(FileNotFoundError), _open(path) as file:  # its holder has just ended
        if not (_hold(file) and _is_of_this_machine(file, root)):
            file.seek(0)
            raise _in_use(root, file.read())
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):  # or it is that of a run which came in between
            path.unlink()


def _is_of_this_machine(file: FileIO, root: Root) -> bool:
    """Whether no other machine can hold that lock. Of earlier releases, which know no flock, nobody can know."""
    owner = _owner_of(file.read())
    on_disk = os.major(os.fstat(file.fileno()).st_dev) != 0  # what comes over a network has no device
    return "mount" in owner and (on_disk or owner["mount"] == _mount(root))


def _take_elsewhere(root: Root, content: bytes, held: ExitStack) -> None:
    """As `_take`, on a store that knows no flock."""
    file = held.enter_context(_held_file(root).open("a+b", buffering=0))
    file.seek(0)
    found = _content(root)
    if not _hold(file) or (found is not None and found != file.read()):
        raise _in_use(root, found or b"")
    if found is not None:
        root.delete(_LOCK)
    file.truncate(0)
    _write(file, content)
    if not root.create_exclusively(_LOCK, content):
        raise _in_use(root, _content(root) or b"")


def _held_file(root: Root) -> Path:
    """The file whose flock tells whether a process of this machine is at work."""
    if root.is_local:
        return root.local_path(_LOCK)
    return machine_cache() / f"lock-{hashlib.sha256(root.location.encode()).hexdigest()[:32]}.json"


def _open(path: Path) -> FileIO:
    try:
        return path.open("r+b", buffering=0)  # network file systems want it writable for an flock
    except PermissionError:
        return path.open("rb", buffering=0)


def _hold(file: FileIO) -> bool | None:
    """Holds a file until it is closed; False where somebody else does, None where its file system has no flock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _write(file: FileIO, content: bytes) -> None:
    if file.write(content) != len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _in_use(root: Root, content: bytes) -> CorpusError:
    return CorpusError(
        f"{root.location}: in use by another run ({_told(content)}); if that is gone for certain, take its lock away: "
        f"`swallow-spark unlock --corpus {root.location} --force` (it is {_LOCK})"
    )


def _content(root: Root) -> bytes | None:
    """What the lock says, empty where its writer was killed or found no room; None where there is none."""
    try:
        return root.read_bytes(_LOCK)
    except OSError:
        return None


def _told(content: bytes) -> str:
    owner = _owner_of(content)
    told = "{user}@{host}, process {pid}, since {since}".format_map({**dict.fromkeys(_TOLD, "?"), **owner})
    try:
        age = datetime.now(UTC) - datetime.fromisoformat(str(owner.get("since")))
    except (ValueError, TypeError):
        return told
    hours = age.total_seconds() / 3600
    return f"{told}, {hours:.1f} hours ago" if hours >= 0 else f"{told}, which is ahead of this machine's clock"


def _owner_of(content: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(content))
    except (ValueError, TypeError):
        return {}


def _mount(root: Root) -> str:
    """What tells a mount of this machine, since it was started, from those of all others. Where there is no /proc, each
    process has its own."""
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else uuid4().hex
    return f"{boot}/{root.local_path('').stat().st_dev}" if root.is_local else boot
