"""A class data sharing archive of the classes that Spark loads: with it, the JVM needs half the CPU time to start.

There is one per Java, in the environment where this package is installed. The JVM checks whether it fits (the same
Java, and Spark's jars in the same order), and otherwise starts without it.
"""

import hashlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from pyspark.find_spark_home import _find_spark_home
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from swallow_spark.errors import SwallowSparkError, UsageError
from swallow_spark.session.waiting import waiting

_AOT_VERSION: Final = 25  # from this version on, AOT caches: they also hold linked classes and profiles of methods
_SENTENCES: Final = (
    "川の上流にある古い水車小屋は、今では町の歴史を伝える小さな資料館として使われています。",
    "館内には百年ほど前の農具や写真が並び、当時の暮らしの様子をうかがうことができます。",
    "春になると裏山の桜が咲き、遠くの村からも大勢の人が花見に訪れるそうです。",
    "水車は雪どけの季節に最もよく回り、そば粉をひく音が谷に響きます。",
    "案内をしてくださった方は、子どものころに祖父からここの仕事を習ったと話していました。",
    "夏の夕方には蛍が飛ぶことがあり、そのときだけ夜遅くまで門が開いています。",
    "建物の柱には洪水の高さを記した線が何本も残っていて、川と人との長い関わりが分かります。",
    "秋の収穫が終わるころには、新しい粉で作った団子が来た人みんなにふるまわれます。",
    "冬は雪が深くて道が閉ざされるため、十二月から三月までは休館になります。",
    "最寄りの駅からはバスで四十分ほどかかりますが、途中の景色も見ごたえがあります。",
    "入り口のそばにある石碑には、この水路を開いた人々の名前が刻まれています。",
    "資料館では郷土史の勉強会も毎月開かれていて、だれでも参加することができます。",
    "展示の説明は三つの言語で書かれており、海外からの旅行者にも分かりやすいと評判です。",
    "帰りには川沿いの小道を歩いて、次の集落まで足をのばしてみるのもよいでしょう。",
)
"""A text that all rules accept."""
_OF_ARCHIVES: Final = re.compile(r"-XX:(?:AOT|SharedArchiveFile|ArchiveClassesAtExit)")
_COMPLAINTS: Final = re.compile(r"\b(?:unable|error)\b", re.IGNORECASE)
_SCRATCH: Final = "making-"
_LEFT_BEHIND_SECONDS: Final = 3600  # older scratch is of a killed warm-up: one takes 1-2 minutes


class _Java(NamedTuple):
    archive: Path
    """Where its archive is, if there is one. Its options, the first two followed by `=` and an archive:"""
    use: str
    make: str
    require: str


def options(own: str = "") -> list[str]:
    """The options to use the archive of the chosen Java; none if there is no archive, or if the user's `own` options
    make or name one, since the JVM takes only one."""
    java = _java()
    if not java or not java.archive.exists() or _OF_ARCHIVES.search(own):
        return []
    # The JVM would report what doesn't fit on standard output, where results go.
    return [shlex.quote(f"{java.use}={java.archive}"), "-Xlog:disable"]


def make(config: str, say: Callable[[str], None]) -> Path:
    """Runs the pipeline over a few pages, and archives the classes that it loads; returns the archive's path. This also
    compiles the kernels. An older archive stays until the new one has been tried.

    config: a name or file of a configuration. say: told of each step, and while it lasts. Raises UsageError if the
    environment can't be written to, SwallowSparkError if the run or the JVM fails.
    """
    java = _java()
    if not java:
        raise UsageError("warm-up: no Java is chosen")
    directory = java.archive.parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for left in directory.glob(f"{_SCRATCH}*"):
            with suppress(FileNotFoundError):  # another warm-up has just ended
                if left.stat().st_mtime < time.time() - _LEFT_BEHIND_SECONDS:
                    shutil.rmtree(left)
        # If this is stopped, Java may still write there: the next warm-up deletes what is left.
        scratch = tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=directory, ignore_cleanup_errors=True)
    except OSError as error:
        raise UsageError(f"warm-up: {directory} can't be written to: {error.strerror}") from None
    with scratch:
        made = Path(scratch.name) / java.archive.name
        step = "1 of 2: running the pipeline over a few pages, compiling kernels, archiving classes"
        say(step)
        with waiting(say, step):
            _train(java, made, config)
        say("2 of 2: trying the archive")
        with waiting(say, "2 of 2: trying the archive"):
            _try(java, made)
        made.replace(java.archive)
    return java.archive


def _train(java: _Java, made: Path, config: str) -> None:
    pages = made.with_suffix(".warc.gz")
    pages.write_bytes(_pages())
    option = shlex.quote(f"{java.make}={made}")
    command = [sys.executable, "-m", "swallow_spark.cli", "build", str(pages), "--config", config]
    command += ["--corpus", str(made.with_suffix(".corpus")), "--crawl", "warm-up", "--master", "local[2,4]"]
    command += ["--set", f"spark.spark.driver.extraJavaOptions={option}"]
    # Returns after the JVM, which writes the archive after the run: it has inherited the pipe.
    run = _run(command)
    if run.returncode or not made.exists():
        said = run.stdout.strip().splitlines()
        complaints = [line for line in said if _COMPLAINTS.search(line)]
        cause = said[-1:] if run.returncode else complaints[-4:] or ["Java gave no reason"]
        raise SwallowSparkError(f"warm-up: no archive was made: {'; '.join(cause)}")


def _try(java: _Java, archive: Path) -> None:
    """Starts Spark's JVM so that it fails if it can't use the archive; in a session it silently starts without it."""
    option = shlex.quote(f"{java.use}={archive}")
    setting = f"spark.driver.extraJavaOptions={option} {java.require}"
    home = _find_spark_home()
    command = [f"{home}/bin/spark-submit", "--conf", setting, "--version"]
    run = _run(command, {**os.environ, "SPARK_HOME": home})
    if run.returncode:
        cause = "; ".join(run.stdout.strip().splitlines()[:5])  # it fails before anything else
        raise SwallowSparkError(f"warm-up: Java can't use the archive that it has made: {cause}")


def _run(command: list[str], env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    out = subprocess.PIPE
    return subprocess.run(command, env=env, stdout=out, stderr=subprocess.STDOUT, text=True, errors="replace")


def _java() -> _Java | None:
    """The Java that this process has chosen."""
    program, version = (os.environ.get(name) for name in ("SWALLOW_SPARK_JAVA", "SWALLOW_SPARK_JAVA_VERSION"))
    if not program or not version:
        return None
    name = hashlib.sha256(os.path.realpath(program).encode()).hexdigest()[:16]
    archive = Path(sys.prefix) / "share" / "swallow-spark" / f"classes-{name}"
    if int(version) >= _AOT_VERSION:
        return _Java(archive, "-XX:AOTCache", "-XX:AOTCacheOutput", "-XX:AOTMode=on")
    return _Java(archive, "-XX:SharedArchiveFile", "-XX:ArchiveClassesAtExit", "-Xshare:on")


def _pages() -> bytes:
    """A WARC of pages, some of them near-duplicates."""
    packed = io.BytesIO()
    writer = WARCWriter(packed, gzip=True)
    for number in range(8):
        sentences = _SENTENCES if number % 2 else _SENTENCES[number:] + _SENTENCES[:number]
        paragraphs = "".join(f"<p>{''.join(sentences[at : at + 3])}</p>" for at in range(0, len(sentences), 3))
        html = f"<html lang=ja><meta charset=utf-8><title>水車</title><body><article>{paragraphs}</article>"
        headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1")
        url = f"http://page-{number}.example/"
        writer.write_record(writer.create_warc_record(url, "response", io.BytesIO(html.encode()), http_headers=headers))
    return packed.getvalue()
