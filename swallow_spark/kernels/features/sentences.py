"""The length of sentences and how many end in an ellipsis; also how texts are split into sentences and paragraphs."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from swallow_spark.kernels.features.texts import Column, Feature, Texts, counts, is_space, ratio, ratios
from swallow_spark.kernels.text.utf8 import Codes, Offsets


def _compute(texts: Texts) -> list[Column]:
    number, total, longest, ellipses = _measure(texts.codes, texts.offsets)
    return [ratio(total, number), longest, ellipses, ratio(ellipses, number)]


FEATURE: Final = Feature(
    name="sentences",
    version=1,
    schema=pa.schema(
        [
            *ratios("avg_sentence_length"),
            *counts("max_sentence_length", "num_sentences_ending_with_ellipsis"),
            *ratios("ellipsis_fraction"),
        ]
    ),
    compute=_compute,
    meanings={
        "avg_sentence_length": "Average length of a sentence.",
        "max_sentence_length": "Length of the longest sentence; 0 if there is none (the v1 code stops with an error).",
        "num_sentences_ending_with_ellipsis": "Sentences whose last character that isn't blank is ・ or ….",
        "ellipsis_fraction": "Share of these sentences.",
    },
    fractions=("ellipsis_fraction",),
)


@njit(cache=True, nogil=True)
def split(codes: Codes, kept: Codes, sentences: Offsets, paragraphs: Offsets) -> tuple[int, int]:
    """Splits a text into sentences and paragraphs; returns the number of each.

    A sentence is a longest non-empty run of characters of a line other than 。．！？!? and at most one of these. A
    paragraph is the joined sentences of a line, so a mark that ends no sentence is in neither. The characters go to
    `kept`; sentence k is `kept[sentences[k] : sentences[k + 1]]`, likewise for paragraphs. The arrays need len(codes),
    len(codes) + 1 and len(codes) + 2 entries.
    """
    size = num_sentences = num_paragraphs = 0
    sentences[0] = paragraphs[0] = 0
    for c in codes:
        if c == 0x0A:
            if size > sentences[num_sentences]:
                num_sentences += 1
                sentences[num_sentences] = size
            num_paragraphs += 1
            paragraphs[num_paragraphs] = size
        elif c == 0x3002 or c == 0xFF0E or c == 0xFF01 or c == 0xFF1F or c == 0x21 or c == 0x3F:
            if size > sentences[num_sentences]:
                kept[size] = c
                size += 1
                num_sentences += 1
                sentences[num_sentences] = size
        else:
            kept[size] = c
            size += 1
    if size > sentences[num_sentences]:
        num_sentences += 1
        sentences[num_sentences] = size
    num_paragraphs += 1
    paragraphs[num_paragraphs] = size
    return num_sentences, num_paragraphs


@njit(cache=True, nogil=True)
def _measure(codes: Codes, offsets: Offsets) -> npt.NDArray[np.int64]:
    """int64 (4, texts): number of sentences, their total length, the longest, those that end in an ellipsis."""
    n = offsets.size - 1
    result = np.zeros((4, n), np.int64)
    room = 0 if n == 0 else np.diff(offsets).max()
    kept = np.empty(room, np.uint32)
    sentences = np.empty(room + 1, np.int64)
    paragraphs = np.empty(room + 2, np.int64)
    for i in range(n):
        number, _ = split(codes[offsets[i] : offsets[i + 1]], kept, sentences, paragraphs)
        longest = ellipses = 0
        for k in range(number):
            start, end = sentences[k], sentences[k + 1]
            longest = max(longest, end - start)
            while end > start and is_space(int(kept[end - 1])):
                end -= 1
            if end > start and (kept[end - 1] == 0x30FB or kept[end - 1] == 0x2026):  # ・…
                ellipses += 1
        result[0, i], result[1, i], result[2, i], result[3, i] = number, sentences[number], longest, ellipses
    return result
