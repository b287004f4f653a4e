"""The lock of a corpus: a file that names the running process, which holds an flock on it until it ends.

The system frees an flock when its process ends for whatever reason, so if the flock can be taken, the holder is gone.
But some network file systems don't show the flocks of other machines. So a lock is taken over only if its file is on a
disk of this machine, or was made through the same mount since this machine booted.

For a store without flock, the process holds an flock on a local file with the same content instead.
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

from swallow_spark.errors import CorpusError, InUseError
from swallow_spark.files.storage import Root, machine_cache

_LOCK: Final = "lock.json"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")  # changes with each boot


@contextmanager
def lock(root: Root) -> Iterator[None]:
    """Keeps other runs out. Takes over the lock of a process of this machine that has ended.

    Raises InUseError if another run holds it, CorpusError if the corpus can't be written.
    """
    with ExitStack() as held:
        try:
            owner = {
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "mount": _mount(root),
                "user": os.environ.get("USER") or str(os.getuid()),  # containers have users without a name
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
                "id": uuid4().hex,
            }
            content = json.dumps(owner).encode()
            (_take if root.is_local else _take_elsewhere)(root, content, held)
        except OSError as error:
            raise CorpusError(f"{root.location}: can't be written: {error.strerror or error}") from None
        try:
            yield
        finally:
            if _content(root) == content:
                root.delete(_LOCK)


def take_away(root: Root) -> str | None:
    """Removes the lock, for a user who knows that its run has ended. Returns who held it since when; None if there was
    no lock. Raises CorpusError if its process is running on this machine."""
    content = _content(root)
    if content is None:
        return None
    described = _described(content)
    with suppress(FileNotFoundError), _open(_held_file(root)) as file:
        if _hold(file) is False and file.read() == content:
            raise CorpusError(f"{root.location}: that run is alive ({described}): stop it first")
    root.delete(_LOCK)
    return described


def holder(root: Root) -> str | None:
    """Who holds the lock, and since when; None if nobody does."""
    content = _content(root)
    return None if content is None else _described(content)


def _take(root: Root, content: bytes, held: ExitStack) -> None:
    """Creates the lock and holds it until `held` is closed. Raises InUseError if another run holds it."""
    path, file = root.local_path(_LOCK), None
    while not file:
        try:
            file = held.enter_context(path.open("xb", buffering=0))
        except FileExistsError:
            _remove_dead(root, path)
    try:
        with suppress(OSError):  # without flock on this file system, other runs respect the file itself
            fcntl.flock(file, fcntl.LOCK_EX)
        _write(file, content)  # until now it was empty, and no run takes over an empty lock
    except BaseException:
        path.unlink()
        raise


def _remove_dead(root: Root, path: Path) -> None:
    """Removes the lock of a process that has ended. Raises InUseError if it may be running."""
    with suppress(FileNotFoundError), _open(path) as file:  # not found: its holder has just ended
        if not (_hold(file) and _is_of_this_machine(file, root)):
            file.seek(0)
            raise _in_use(root, file.read())
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):  # else another run has created its own meanwhile
            path.unlink()


def _is_of_this_machine(file: FileIO, root: Root) -> bool:
    """Whether no other machine can hold that lock. False for locks of earlier releases, which didn't use flock."""
    owner = _owner_of(file.read())
    on_disk = os.major(os.fstat(file.fileno()).st_dev) != 0  # network file systems have no device
    return "mount" in owner and (on_disk or owner["mount"] == _mount(root))


def _take_elsewhere(root: Root, content: bytes, held: ExitStack) -> None:
    """Like `_take`, for a store without flock."""
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
    """The file whose flock shows whether a process of this machine holds the lock."""
    if root.is_local:
        return root.local_path(_LOCK)
    return machine_cache() / f"lock-{hashlib.sha256(root.location.encode()).hexdigest()[:32]}.json"


def _open(path: Path) -> FileIO:
    try:
        return path.open("r+b", buffering=0)  # network file systems need it writable for an flock
    except PermissionError:
        return path.open("rb", buffering=0)


def _hold(file: FileIO) -> bool | None:
    """Locks a file until it is closed. False if another process has locked it, None if its file system has no flock."""
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


def _in_use(root: Root, content: bytes) -> InUseError:
    return InUseError(
        f"{root.location}: in use by another run ({_described(content)}); if that run has ended, remove its lock "
        f"({_LOCK}): `swallow-spark unlock --corpus {root.location} --force`"
    )


def _content(root: Root) -> bytes | None:
    """The content of the lock, empty if its writer was killed or the disk was full; None if there is no lock."""
    try:
        return root.read_bytes(_LOCK)
    except OSError:
        return None


def _described(content: bytes) -> str:
    owner = _owner_of(content)
    user, host, pid, since = (owner.get(name, "?") for name in ("user", "host", "pid", "since"))
    text = f"{user}@{host}, process {pid}, since {since}"
    try:
        hours = (datetime.now(UTC) - datetime.fromisoformat(str(since))).total_seconds() / 3600
    except (ValueError, TypeError):
        return text
    return f"{text}, {hours:.1f} hours ago" if hours >= 0 else f"{text}, which is ahead of this machine's clock"


def _owner_of(content: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(content))
    except (ValueError, TypeError):
        return {}


def _mount(root: Root) -> str:
    """Identifies a mount of this machine since it booted. Without /proc, each process gets its own."""
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else uuid4().hex
    return f"{boot}/{root.local_path('').stat().st_dev}" if root.is_local else boot
