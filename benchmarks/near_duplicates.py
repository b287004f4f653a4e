"""Generates documents of real text with near-duplicates, by cutting and editing texts.

A document is a sequence of passages of about 150 characters, each from a random place in the given texts, so that
unrelated documents share almost nothing. Sizes of groups follow a power law; their members are edits of the group's
first: copies, single characters replaced, the beginning or the end cut off, passages replaced. The same arguments give
the same documents.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

PASSAGE_CHARS = 150
PASSAGES = 10
LARGEST_GROUP = 200


def read_texts(paths: Sequence[Path]) -> str:
    """The texts of .jsonl.gz and .parquet files (field `text`), joined."""
    texts: list[str] = []
    for path in paths:
        if path.suffix == ".parquet":
            texts.extend(pq.read_table(path, columns=["text"])["text"].to_pylist())
        else:
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                texts.extend(json.loads(line)["text"] for line in lines)
    return "\n".join(texts)


def group_sizes(documents: int, rng: np.random.Generator) -> np.ndarray:
    sizes = np.minimum(rng.zipf(2.0, documents), LARGEST_GROUP)
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), documents) + 1]
    sizes[-1] -= sizes.sum() - documents
    return sizes


def documents(whole: str, number: int, seed: int = 1) -> Iterator[tuple[int, str]]:
    """(group, text) of each document, in random order: members of a group are far from each other."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(number), np.pad(group_sizes(number, rng), (0, number))[:number]))
    for place, group in enumerate(groups.tolist()):
        first = original(whole, np.random.default_rng([seed, group]))
        yield group, edited(first, whole, np.random.default_rng([seed, group, place]))


def original(whole: str, rng: np.random.Generator) -> list[str]:
    sizes = rng.integers(PASSAGE_CHARS // 2, PASSAGE_CHARS * 3 // 2, PASSAGES)
    return [whole[at : at + size] for at, size in zip(rng.integers(0, len(whole) - 300, PASSAGES), sizes, strict=True)]


def edited(passages: list[str], whole: str, rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.2:
        return "".join(passages)
    if kind < 0.7:  # each replaced character takes up to five shingles with it
        text = list("".join(passages))
        for at in rng.integers(0, len(text), rng.integers(1, 60)):
            text[at] = whole[rng.integers(0, len(whole))]
        return "".join(text)
    if kind < 0.9:
        text = "".join(passages)
        cut = rng.integers(1, len(text) // 3)
        return text[cut:] if rng.random() < 0.5 else text[:-cut]
    replaced = rng.choice(PASSAGES, rng.integers(1, 4), replace=False)
    others = original(whole, rng)
    return "".join(others[at] if at in replaced else passage for at, passage in enumerate(passages))


def write(whole: str, number: int, directory: Path, files: int = 4, seed: int = 1) -> list[Path]:
    """JSON lines with the fields id, url, group and text, the documents in order over the files."""
    directory.mkdir(parents=True)
    paths = [directory / f"{file:02}.jsonl" for file in range(files)]
    found = enumerate(documents(whole, number, seed))
    for file, path in enumerate(paths):
        with path.open("w", encoding="utf-8") as lines:
            for _ in range(number * (file + 1) // files - number * file // files):
                at, (group, text) = next(found)
                row = {"id": str(at), "url": f"https://example.com/{at}", "group": group, "text": text}
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    return paths
