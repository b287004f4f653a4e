"""Where Numba keeps the compiled kernels."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def choose_directory() -> None:
    """Sets NUMBA_CACHE_DIR if Numba can write neither beside the sources nor to the user's cache, as in an executor
    without a home directory: it would fail."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.environ.get("HOME") or "/nonexistent")
    if "NUMBA_CACHE_DIR" in os.environ or os.access(Path(__file__).parents[1], os.W_OK) or os.access(home, os.W_OK):
        return
    own = Path(tempfile.gettempdir()) / f"swallow-spark-numba-{os.getuid()}"
    with suppress(FileExistsError):
        own.mkdir(mode=0o700)
    found = own.lstat()
    # Numba executes what it loads from there.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        own = Path(tempfile.mkdtemp(prefix="swallow-spark-numba-"))
    os.environ["NUMBA_CACHE_DIR"] = str(own)


def is_compiled() -> bool:
    """Whether kernels have been compiled here: only the first run of an installation waits for that. By a kernel that
    only tasks use: checks before the start of Spark compile some others."""
    package = Path(__file__).parents[1]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME") or "/nonexistent") / ".cache") / "numba"
    places = [package / "kernels", home, Path(os.environ.get("NUMBA_CACHE_DIR") or home)]
    return any(next(place.rglob("signs.*.nbi"), None) for place in places)
