"""INPUT arguments, with files on disk and a server on this machine."""

import gzip
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from misbehaving import Web, serving

from swallow_spark.config.access import Access
from swallow_spark.errors import InputError, UsageError
from swallow_spark.files.inputs import Places, expand, part_of
from swallow_spark.tables import InputFile


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with WARCs (their sizes are 1, 2 …), text, and directories."""
    (tmp_path / "sub").mkdir()
    for size, name in enumerate(("a.warc.gz", "b.warc.gz", "sub/c.warc", "[x].warc", "sub/d.warc.gz"), 1):
        (tmp_path / name).write_bytes(b"x" * size)
    for name in ("t.jsonl", "t.jsonl.gz", "t.jsonl.zst", "t.parquet"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(directory: Path) -> Iterator[str]:
    """The working directory by HTTP."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory))) as running:
        thread = Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def names(found: list[InputFile], directory: Path) -> list[str]:
    return [file.path.removeprefix(f"{directory}/") for file in found]


def test_one_file(directory: Path) -> None:
    path = str(directory / "b.warc.gz")
    assert expand(["b.warc.gz"]) == [InputFile(path, path, 2, None, "warc", None)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["*.warc.gz"], ["a.warc.gz", "b.warc.gz"]),
        (["sub"], ["sub/c.warc", "sub/d.warc.gz"]),
        (["**/*.warc*"], ["[x].warc", "a.warc.gz", "b.warc.gz", "sub/c.warc", "sub/d.warc.gz"]),
        (["sub/?.warc", "a.warc.gz"], ["sub/c.warc", "a.warc.gz"]),
        (["[x].warc"], ["[x].warc"]),
        (["[ab].warc.gz"], ["a.warc.gz", "b.warc.gz"]),
        (["b.warc.gz", "*.warc.gz", "b.warc.gz"], ["b.warc.gz", "a.warc.gz"]),
    ],
)
def test_paths_and_globs(directory: Path, arguments: list[str], expected: list[str]) -> None:
    assert names(expand(arguments), directory) == expected


def test_a_file_has_one_key_however_it_is_written(directory: Path) -> None:
    ways = ["a.warc.gz", "./a.warc.gz", "sub/../a.warc.gz", str(directory / "a.warc.gz")]
    (found,) = expand([*ways, (directory / "a.warc.gz").as_uri()])
    assert found.key == str(directory / "a.warc.gz")


@pytest.mark.parametrize("name", ["files.paths", "files.txt", "files.paths.gz", "sub/files.paths"])
def test_listings(directory: Path, name: str) -> None:
    relative = "c.warc" if name.startswith("sub/") else "sub/c.warc"
    lines = f"# ours\n{relative}\r\n\n  {directory}/b.warc.gz  \n{(directory / 'a.warc.gz').as_uri()}"
    content = lines.encode()
    (directory / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    found = expand([name])
    assert [file.bytes for file in found] == [3, 2, 1]
    assert [file.key for file in found] == [str(directory / n) for n in ("sub/c.warc", "b.warc.gz", "a.warc.gz")]


@pytest.mark.parametrize("text", [False, True])
def test_kinds(directory: Path, text: bool) -> None:
    formats = {"a.warc.gz": "warc", "sub/c.warc": "warc"}
    formats |= {"t.jsonl": "jsonl", "t.jsonl.gz": "jsonl", "t.jsonl.zst": "jsonl", "t.parquet": "parquet"}
    for name, kind in formats.items():
        if text == (kind == "warc"):
            with pytest.raises(InputError, match="not a file of text" if text else "not a WARC"):
                expand([name], text=text)
        else:
            assert [file.format for file in expand([name], text=text)] == [kind]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("none.warc.gz", "no such file"),
        ("*.arc", "no file matches"),
        ("file:///none.warc", "no such file"),
        ("gopher://host/x.warc", "gopher"),
        ("cc:CC-MAIN-2025", "write cc:CC-MAIN-YYYY-WW"),
        ("none.paths", "can't be read"),
        ("empty.paths", "the listing is empty"),
        ("names-none.paths", "none.warc"),
        ("cut.paths.gz", "not a readable listing"),
        ("damaged.paths.gz", "not a readable listing"),
        ("latin.txt", "not a readable listing"),
        ("http://127.0.0.1:1/x.paths", "127.0.0.1"),
    ],
)
def test_what_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch, argument: str, message: str) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # all tries without waiting
    (directory / "empty.paths").write_text("\n# nothing\n")
    (directory / "names-none.paths").write_text("none.warc\n")
    packed = gzip.compress(b"a.warc.gz\n" * 99)
    (directory / "cut.paths.gz").write_bytes(packed[:-9])
    (directory / "damaged.paths.gz").write_bytes(packed[:12] + b"\xff\xff\xff" + packed[15:])
    (directory / "latin.txt").write_bytes(b"caf\xe9.warc\n")
    with pytest.raises(InputError) as caught:
        expand(["a.warc.gz", argument])
    assert message in str(caught.value)
    assert argument.partition("/")[0].removesuffix("*") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_http(directory: Path, server: str) -> None:
    (found,) = expand([f"{server}/sub/c.warc"])
    assert (found.path, found.bytes, found.format) == (f"{server}/sub/c.warc", 3, "warc")
    assert found.key == f"{server.removeprefix('http://')}/sub/c.warc"
    with pytest.raises(InputError, match="HTTP status 404") as caught:
        expand([f"{server}/none.warc"])
    assert f"{server}/none.warc" in str(caught.value)
    (directory / "files.txt").write_text("a.warc.gz\nsub/c.warc\n")
    assert [file.bytes for file in expand([f"{server}/files.txt"])] == [1, 3]


def test_a_mirror_does_not_change_the_key(directory: Path, server: str) -> None:
    path = directory / "mirror" / "crawl-data" / "CC-MAIN-2025-33" / "x.warc.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    here, there = expand([f"{server}/mirror/{path.relative_to(directory / 'mirror')}"]), expand([path.as_uri()])
    assert here[0].key == there[0].key == "crawl-data/CC-MAIN-2025-33/x.warc.gz"


def test_lines_of_a_crawl_are_numbers(directory: Path, server: str) -> None:
    listing = directory / "crawl-data" / "CC-MAIN-2025-33" / "warc.paths.gz"
    listing.parent.mkdir(parents=True)
    lines = [f"crawl-data/CC-MAIN-2025-33/segments/{n}/warc/{9 - n}.warc.gz" for n in range(9)]
    listing.write_bytes(gzip.compress("\n".join(lines).encode()))
    found = expand(["cc:CC-MAIN-2025-33"], Places(server))
    assert found == [InputFile(line, f"{server}/{line}", -1, None, "warc", n) for n, line in enumerate(lines)]
    with pytest.raises(InputError, match="HTTP status 404"):
        expand(["cc:CC-MAIN-2025-34"], Places(server))
    # The same from another kind of place, and a part of it: numbers stay those of the lines.
    assert [f.key for f in expand(["cc:CC-MAIN-2025-33"], Places(f"{directory.as_uri()}/"))] == lines
    some = expand(["cc:CC-MAIN-2025-33"], Places("."), part=part_of("3:5"))
    assert some == [InputFile(lines[n], f"{directory}/{lines[n]}", -1, None, "warc", n) for n in (3, 4)]
    with pytest.raises(InputError, match="no line of its warc"):
        expand(["cc:CC-MAIN-2025-33"], Places(server), part=part_of("9:"))


def test_parts() -> None:
    assert [part_of(text) for text in ("0:100", "7:", ":5")] == [slice(0, 100), slice(7, None), slice(None, 5)]
    for text in (":", "5", "-1:5", "a:b", "1:2:3", "", "1: 2"):
        with pytest.raises(UsageError, match="--files"):
            part_of(text)


def test_sizes_of_listed_files_are_asked_for_but_not_those_of_common_crawl(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    files = {f"/d/{n}.warc.gz": b"x" * n for n in range(1, 30)}
    with serving(Web(files={**files, "/d/l.paths": "\n".join(f"{n}.warc.gz" for n in range(1, 30)).encode()})) as web:
        assert [file.bytes for file in expand([f"{web.url}/d/l.paths"])] == list(range(1, 30))
        web.files["/l.paths"] = b"crawl-data/a.warc.gz\ncrawl-data/b.warc.gz\n"
        asked = len(web.requests)
        found = expand([f"{web.url}/l.paths"])
        assert [(file.key, file.bytes) for file in found] == [
            ("crawl-data/a.warc.gz", -1),
            ("crawl-data/b.warc.gz", -1),
        ]
        assert len(web.requests) == asked + 1


@pytest.mark.parametrize("line", ["file:///etc/passwd", "file:/etc/passwd", "FILE:///etc/passwd"])
def test_a_listing_from_elsewhere_names_no_file_of_this_machine(line: str) -> None:
    with serving(Web(files={"/l.txt": line.encode(), "/r.txt": b"/etc/passwd"})) as web:
        with pytest.raises(InputError, match="passwd"):
            expand([f"{web.url}/l.txt"])
        with pytest.raises(InputError, match=r"/etc/passwd: HTTP status 404"):
            expand([f"{web.url}/r.txt"])


def test_redirects_to_this_machine_where_they_are_allowed() -> None:
    with serving(Web(files={"/x.warc.gz": b"12345"})) as there, serving(Web()) as here:
        here.orders["/x.warc.gz"] = [
            lambda request: request.head(302, Location=f"{there.url}/x.warc.gz", Content_Length=0) for _ in range(2)
        ]
        with pytest.raises(InputError, match="not a public address"):
            expand([f"{here.url}/x.warc.gz"])
        (found,) = expand([f"{here.url}/x.warc.gz"], Places(access=Access(to_private_addresses=True)))
        assert (found.bytes, found.path) == (5, f"{here.url}/x.warc.gz")


def test_addresses_with_access(directory: Path) -> None:
    with serving(Web(files={"/a.warc.gz": b"x"}, etags={"/a.warc.gz": '"1"'})) as web:
        url = web.url.replace("http://", "http://me:secret@") + "/a.warc.gz?X-Amz-Signature=abc"
        (found,) = expand([url])
        assert found == InputFile(f"{web.url[7:]}/a.warc.gz", url, 1, '"1"', "warc")
        assert web.requests[0][1]["authorization"].startswith("Basic ")
        with pytest.raises(InputError) as caught:
            expand([url.replace("a.warc", "none.warc")])
        assert "secret" not in str(caught.value)
        assert "abc" not in str(caught.value)


def test_links_that_lead_back_give_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/x.jsonl").write_text("{}\n")
    (tmp_path / "a/b/up").symlink_to("..")
    assert [file.path for file in expand([str(tmp_path / "a")], text=True)] == [str(tmp_path / "a/b/x.jsonl")]


def test_an_empty_argument_is_refused() -> None:
    with pytest.raises(InputError, match="an INPUT is empty"):
        expand([""])
