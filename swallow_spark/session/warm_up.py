"""An archive of the classes that Spark loads: a JVM that maps it needn't read and check them one by one, and takes
half the CPU to start.

It lies in the environment that this package is installed in, one for each Java. The JVM itself sees whether it fits
(the same Java, the same Spark with its jars in the same order), and starts as ever where it doesn't.
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
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from pyspark.find_spark_home import _find_spark_home
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from swallow_spark.errors import SwallowSparkError, UsageError

# From this version on an archive also holds classes as they are once linked, and what the JVM has learnt of methods.
_LINKED: Final = 25
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
_LEFT_BEHIND_SECONDS: Final = 3600  # scratch as old as this is that of a warm-up that was killed: one takes 1-2 minutes


class _Java(NamedTuple):
    version: int
    archive: Path
    """Where its archive lies, if it is made."""

    def option(self, since_linked: str, before: str, archive: Path) -> str:
        """An option with an archive as its value, as Spark's splitting of options, which is a shell's, wants it."""
        return shlex.quote(f"-XX:{since_linked if self.version >= _LINKED else before}={archive}")

    def use(self, archive: Path) -> str:
        return self.option("AOTCache", "SharedArchiveFile", archive)


def options(own: str = "") -> list[str]:
    """What the JVM needs to use the archive of the Java that this process has chosen; nothing where there is none, or
    where the user's `own` options make or name an archive: the JVM takes one."""
    java = _java()
    if not java or not java.archive.exists() or _OF_ARCHIVES.search(own):
        return []
    # What doesn't fit it would say on standard output, where results go.
    return [java.use(java.archive), "-Xlog:disable"]


def make(config: str) -> Path:
    """Runs the pipeline over a few pages, and keeps the classes that this has loaded; the archive's place. Kernels are
    compiled by this as well, where they aren't yet. An older archive stays until the new one has been tried.

    config: a name or file of a configuration. Raises UsageError where the environment can't be written to,
    SwallowSparkError where the run or the JVM fails.
    """
    java = _java()
    if not java:
        raise UsageError("warm-up: no Java is chosen")
    directory = java.archive.parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for left in directory.glob(f"{_SCRATCH}*"):
            with suppress(FileNotFoundError):  # that of another warm-up, which has ended meanwhile
                if left.stat().st_mtime < time.time() - _LEFT_BEHIND_SECONDS:
                    shutil.rmtree(left)
        # Java may still write there when this is stopped: what then stays is left behind for the next.
        scratch = tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=directory, ignore_cleanup_errors=True)
    except OSError as error:
        raise UsageError(f"warm-up: {directory} can't be written to: {error.strerror}") from None
    with scratch:
        made = Path(scratch.name) / java.archive.name
        _train(java, made, config)
        _try(java, made)
        made.replace(java.archive)
    return java.archive


def _train(java: _Java, made: Path, config: str) -> None:
    pages = made.with_suffix(".warc.gz")
    pages.write_bytes(_pages())
    option = java.option("AOTCacheOutput", "ArchiveClassesAtExit", made)
    command = [sys.executable, "-m", "swallow_spark.cli", "build", str(pages), "--config", config]
    command += ["--corpus", str(made.with_suffix(".corpus")), "--crawl", "warm-up", "--master", "local[2,4]"]
    command += ["--set", f"spark.spark.driver.extraJavaOptions={option}"]
    # This ends with the JVM, which makes the archive behind the end of the run: it has inherited the pipe that is read.
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if run.returncode or not made.exists():
        said = run.stdout.strip().splitlines()
        complaints = [line for line in said if _COMPLAINTS.search(line)]
        cause = said[-1:] if run.returncode else complaints[-4:] or ["Java didn't say why"]
        raise SwallowSparkError(f"warm-up: no archive was made: {'; '.join(cause)}")


def _try(java: _Java, archive: Path) -> None:
    """Starts Spark's JVM under the condition that it uses the archive: in a session it wouldn't say that it doesn't."""
    condition = "-XX:AOTMode=on" if java.version >= _LINKED else "-Xshare:on"
    setting = f"spark.driver.extraJavaOptions={java.use(archive)} {condition}"
    home = _find_spark_home()
    command = [f"{home}/bin/spark-submit", "--conf", setting, "--version"]
    run = subprocess.run(
        command,
        env={**os.environ, "SPARK_HOME": home},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if run.returncode:
        cause = "; ".join(run.stdout.strip().splitlines()[:5])  # it ends before it does anything else
        raise SwallowSparkError(f"warm-up: Java doesn't use the archive that it has made: {cause}")


def _java() -> _Java | None:
    """The one that this process has chosen."""
    program, version = (os.environ.get(name) for name in ("SWALLOW_SPARK_JAVA", "SWALLOW_SPARK_JAVA_VERSION"))
    if not program or not version:
        return None
    name = hashlib.sha256(os.path.realpath(program).encode()).hexdigest()[:16]
    return _Java(int(version), Path(sys.prefix) / "share" / "swallow-spark" / f"classes-{name}")


def _pages() -> bytes:
    """A WARC of pages, of which some are near-duplicates."""
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
