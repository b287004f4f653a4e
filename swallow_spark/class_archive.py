"""An archive of the classes that Spark loads: a JVM that maps it needn't read and check them one by one, and starts in
half the time.

It lies in the environment that this package is installed in, one for each Java. The JVM itself sees whether it fits
(the same Java, the same Spark), and starts as ever where it doesn't.
"""

import hashlib
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

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


def options() -> list[str]:
    """What the JVM needs to use the archive of the Java that this process has chosen; nothing where there is none."""
    archive = _path()
    if not archive or not archive.exists():
        return []
    # What doesn't fit it would say on standard output, where results go.
    return [f"-XX:{'AOTCache' if _version() >= _LINKED else 'SharedArchiveFile'}={archive}", "-Xlog:disable"]


def make(config: str) -> Path:
    """Runs the pipeline over a few pages, and keeps the classes that this has loaded; the archive's place. Kernels are
    compiled by this as well, where they aren't yet.

    config: a name or file of a configuration. Raises UsageError where the environment can't be written to,
    SwallowSparkError where the run or the JVM fails.
    """
    archive = _path()
    if not archive:
        raise UsageError("warm-up: no Java is chosen")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        archive.unlink(missing_ok=True)  # the run is one without
        scratch = tempfile.TemporaryDirectory(dir=archive.parent)
    except OSError as error:
        raise UsageError(f"warm-up: {archive.parent} can't be written to: {error.strerror}") from None
    with scratch:
        made = Path(scratch.name) / archive.name
        pages = Path(scratch.name) / "pages.warc.gz"
        pages.write_bytes(_pages())
        option = f"-XX:{'AOTCacheOutput' if _version() >= _LINKED else 'ArchiveClassesAtExit'}={made}"
        command = [sys.executable, "-m", "swallow_spark.cli", "build", str(pages), "--config", config]
        command += ["--corpus", str(made.with_suffix(".corpus")), "--crawl", "warm-up", "--master", "local[2,4]"]
        command += ["--set", f"spark.spark.driver.extraJavaOptions={option}"]
        # Its end is that of the JVM, which makes the archive behind the end of the run.
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if run.returncode or not made.exists():
            said = run.stdout.strip().splitlines()[-1:] or ["nothing was said"]
            raise SwallowSparkError(f"warm-up: no archive was made: {said[0]}")
        made.replace(archive)
    return archive


def _version() -> int:
    return int(os.environ["SWALLOW_SPARK_JAVA_VERSION"])


def _path() -> Path | None:
    """Where the archive of the chosen Java lies, if it is made; None where none is chosen."""
    java = os.environ.get("SWALLOW_SPARK_JAVA")
    if not java:
        return None
    name = hashlib.sha256(os.path.realpath(java).encode()).hexdigest()[:16]
    return Path(sys.prefix) / "share" / "swallow-spark" / f"classes-{name}"


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
