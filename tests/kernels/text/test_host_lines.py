"""Lines that repeat on a host, against splits and Counters."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from swallow_spark.kernels.text import host_lines as kernel

PIECES = ["\n", "\n", "\n", " ", "\u3000", "\t\r", "\u200b", "あ", "aé𠀋", "メニュー"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=16).map("".join)
HOSTS = st.sampled_from(["a.example", "b.example", "", None])
PAGES = st.lists(st.tuples(HOSTS, TEXTS), max_size=12)


def naive_lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if len(line.strip()) >= 3]


def naive_without(text: str, dropped: set[str]) -> str:
    every = text.split("\n")
    kept = [line for line in every if len(line.strip()) < 3 or line.strip() not in dropped]
    if len(kept) == len(every):
        return text
    while kept and not kept[0].strip():
        del kept[0]
    while kept and not kept[-1].strip():
        del kept[-1]
    return "\n".join(kept)


def keys_of(host: str, line: str) -> tuple[int, int]:
    seed = xxhash.xxh64_intdigest(host.encode()) >> 1
    return seed, xxhash.xxh64_intdigest(line.encode(), seed) >> 1


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()])
@given(PAGES, st.integers(0, 3))
def test_counts_are_those_of_counters(type_: pa.DataType, pages: list[tuple[str | None, str]], sliced: int) -> None:
    hosts = kernel.host_keys(pa.array([host for host, _ in pages], type_).slice(sliced))
    texts = pa.array([text for _, text in pages], type_).slice(sliced)
    counted = kernel.count(texts, hosts)
    expected = Counter(keys_of(host, line) for host, text in pages[sliced:] if host for line in set(naive_lines(text)))
    found = list(zip(counted.host.tolist(), counted.line.tolist(), strict=True))
    assert found == sorted(expected)
    assert counted.num_pages.tolist() == [expected[key] for key in found]


@given(PAGES, PAGES)
def test_counts_of_parts_add_up(one: list[tuple[str | None, str]], other: list[tuple[str | None, str]]) -> None:
    parts = []
    for pages in (one, other, one + other):
        hosts = kernel.host_keys(pa.array([host for host, _ in pages], pa.string()))
        parts.append(kernel.count(pa.array([text for _, text in pages], pa.string()), hosts))
    combined = kernel.combine(*map(np.concatenate, zip(*parts[:2], strict=True)))
    assert [column.tolist() for column in combined] == [column.tolist() for column in parts[2]]


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()])
@given(PAGES, st.sets(st.sampled_from(["あ", "aé𠀋", "メニュー", "ああ", "あメニュー", "あ あ"])), st.integers(0, 3))
def test_lines_are_dropped_and_counted(
    type_: pa.DataType, pages: list[tuple[str | None, str]], dropped: set[str], sliced: int
) -> None:
    hosts = kernel.host_keys(pa.array([host for host, _ in pages], type_).slice(sliced))
    texts = pa.array([text for _, text in pages], type_).slice(sliced)
    of, _, keys = kernel.lines(texts, hosts)
    unwanted = [keys_of(host, line)[1] for host in ("a.example", "b.example") for line in dropped]
    found = kernel.without(texts, of, np.isin(keys, unwanted))
    expected = [naive_without(text, dropped) if host else text for host, text in pages[sliced:]]
    assert found.texts.type == type_
    assert found.texts.to_pylist() == expected
    assert found.num_chars.tolist() == list(map(len, expected))
    losses = [sum(line in dropped for line in naive_lines(text)) if host else 0 for host, text in pages[sliced:]]
    assert found.num_lines.tolist() == losses


def test_the_same_line_of_another_host_has_another_key() -> None:
    hosts = kernel.host_keys(pa.array(["a.example", "b.example", "a.example", None]))
    assert hosts[0] == hosts[2] != hosts[1]
    found = kernel.lines(pa.array([" ホーム\n本文です", "ホーム", "ホーム\u3000", "ホーム"]), hosts)
    assert found.text.tolist() == [0, 0, 1, 2]
    assert found.line[0] == found.line[3] != found.line[2]
    assert found.host.tolist() == [hosts[0], hosts[0], hosts[1], hosts[2]]


def test_a_text_of_nothing_but_menus_is_emptied_and_one_without_stays_as_it_is() -> None:
    texts = pa.array(["\n ホーム\n \nホーム\n", "\n\n本文 \n\n", "ホーム\n\n本文\n\n二段\n\nホーム"])
    of, _, keys = kernel.lines(texts, kernel.host_keys(pa.array(["a.example"] * 3)))
    found = kernel.without(texts, of, keys == keys[0])
    assert found.texts.to_pylist() == ["", "\n\n本文 \n\n", "本文\n\n二段"]
    assert found.num_lines.tolist() == [2, 0, 2]


def test_a_long_page_of_short_lines() -> None:
    text = "あああ\n" * 500_000 + "い"
    hosts = kernel.host_keys(pa.array(["a.example"]))
    counted = kernel.count(pa.array([text]), hosts)
    assert counted.num_pages.tolist() == [1]
    of, _, keys = kernel.lines(pa.array([text]), hosts)
    assert kernel.without(pa.array([text]), of, keys == keys[0]).texts.to_pylist() == ["い"]
