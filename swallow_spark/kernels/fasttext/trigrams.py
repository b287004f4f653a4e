"""The sum of rows for models with n-grams of 2 and 3 characters and no word n-grams, as Swallow's models are.

A text is one stream of characters: its tokens in order, each in `<` and `>`. Every character begins a 2-gram and a
3-gram, so the hashes are computed without branches in vector code; n-grams that reach beyond the end of a token get a
row of zeros. `features` has the rules for all models.
"""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from swallow_spark.kernels.fasttext.features import (
    END_OF_LINE,
    FNV_OFFSET,
    LABEL_PREFIX,
    Hashes,
    Inputs,
    Numbers,
    find_entry,
    hash_bytes,
    is_blank,
    remainder,
    starts_with,
    step,
)
from swallow_spark.kernels.text.utf8 import Bytes, Offsets

CHARS_AT_ONCE: Final = 512
LOOK_AHEAD: Final = 2  # characters after the one that a 3-gram begins with


@njit(cache=True, nogil=True, inline="always")
def _add_char(h: Any, char: Any) -> Any:
    """The hash with the 1 to 4 bytes of a character added: the first byte is the lowest, no later one is 0."""
    h = step(h, char)
    h = step(h, char >> np.uint32(8)) if char > np.uint32(0xFF) else h
    h = step(h, char >> np.uint32(16)) if char > np.uint32(0xFFFF) else h
    return step(h, char >> np.uint32(24)) if char > np.uint32(0xFFFFFF) else h


@njit(cache=True, nogil=True)
def _hash(chars: Hashes, count: int, two: Hashes, three: Hashes) -> None:
    """Hashes of the 2-gram and the 3-gram that begin with each of the first `count` characters."""
    for k in range(count):
        h = _add_char(np.uint32(FNV_OFFSET), chars[k])
        h = _add_char(h, chars[k + 1])
        two[k] = h
        three[k] = _add_char(h, chars[k + 2])


@njit(cache=True, nogil=True)
def _number(
    two: Hashes, three: Hashes, word_rows: Numbers, count: int, inputs: Inputs, zero_row: int, numbers: Numbers
) -> int:
    """Writes the rows of the first `count` characters' n-grams, two for each, in fastText's order; returns how many of
    them are features. `word_rows` is negative inside a token; at its end it is the row of the next word."""
    _, _, _, _, num_words, _, num_buckets, kept = inputs
    for k in range(count):  # what needs no table first: vector code
        numbers[2 * k] = remainder(two[k], num_buckets)
        numbers[2 * k + 1] = remainder(three[k], num_buckets)
    found = 0
    for k in range(count):
        row2, row3 = numbers[2 * k], numbers[2 * k + 1]
        if len(kept):
            row2, row3 = kept[np.uint32(row2)], kept[np.uint32(row3)]
        word = word_rows[k]
        row2 = word if word >= 0 else zero_row if row2 < 0 else row2 + num_words
        row3 = zero_row if word >= 0 or word_rows[k + 1] >= 0 or row3 < 0 else row3 + num_words
        numbers[2 * k] = row2
        numbers[2 * k + 1] = row3
        found += int(row2 != zero_row) + int(row3 != zero_row)
    return found


@njit(cache=True, nogil=True)
def _add(rows: NDArray[np.float32], numbers: Numbers, count: int, total: NDArray[Any], in_order: bool) -> None:
    """Adds the rows of `count` characters to `total`; `in_order`: one by one, as fastText does.

    The widths of Swallow's classifiers keep their sums in registers. For a single column 2-grams and 3-grams are added
    separately, so that an addition need not wait for the previous one.
    """
    if len(total) == 1 and not in_order:
        a, b = 0.0, 0.0
        for k in range(count):
            a += rows[numbers[2 * k], 0]
            b += rows[numbers[2 * k + 1], 0]
        total[0] += a + b
    elif len(total) == 4:
        s0, s1, s2, s3 = total[0], total[1], total[2], total[3]
        for i in range(2 * count):
            number = np.uint32(numbers[i])  # unsigned: so LLVM sees that the four are adjacent
            s0 += rows[number, 0]
            s1 += rows[number, 1]
            s2 += rows[number, 2]
            s3 += rows[number, 3]
        total[0], total[1], total[2], total[3] = s0, s1, s2, s3
    else:
        for i in range(2 * count):
            row = numbers[i]
            for k in range(len(total)):
                total[k] += rows[row, k]


@njit(cache=True, nogil=True)
def sum_bigrams_and_trigrams(
    data: Bytes, offsets: Offsets, inputs: Inputs, in_order: bool, sums: NDArray[Any], counts: Offsets
) -> None:
    """`features.sum_features` for minn 2, maxn 3 and single words. The last row of `inputs` must be zeros.

    `in_order`: rows are added one by one in fastText's order, so that float32 `sums` are fastText's to the last bit.
    """
    entry_data, entry_offsets, entry_hashes, slots, num_words, rows, _, _ = inputs
    zero_row = len(rows) - 1
    longest = len(END_OF_LINE)  # in bytes, of the tokens that are looked up
    for entry in range(len(entry_hashes)):
        longest = max(longest, entry_offsets[entry + 1] - entry_offsets[entry])
    end_of_line = np.empty(len(END_OF_LINE), np.uint8)
    for i in range(len(END_OF_LINE)):
        end_of_line[i] = END_OF_LINE[i]
    end_entry = find_entry(end_of_line, hash_bytes(end_of_line), entry_data, entry_offsets, entry_hashes, slots)
    chars = np.zeros(CHARS_AT_ONCE + LOOK_AHEAD, np.uint32)
    word_rows = np.full(CHARS_AT_ONCE + LOOK_AHEAD, zero_row, np.int32)
    two, three = np.empty(CHARS_AT_ONCE, np.uint32), np.empty(CHARS_AT_ONCE, np.uint32)
    numbers = np.empty(2 * CHARS_AT_ONCE, np.int32)
    for document in range(len(counts)):
        position, end = offsets[document], offsets[document + 1]
        total = sums[document]
        chars[0], word_rows[0] = 0, zero_row  # as after a token: room for the row of the first word
        n = 1
        while True:
            while position < end and is_blank(data[position]):
                position += 1
            stop = position
            while stop < end and stop - position <= longest and not is_blank(data[stop]):
                stop += 1
            length = stop - position
            token = data[position:stop]
            entry = -1
            if length == 0 or (length == len(END_OF_LINE) and starts_with(token, END_OF_LINE)):
                if 0 <= end_entry < num_words:
                    word_rows[n - 1] = end_entry
                break
            if length <= longest:  # a longer one is in no vocabulary
                entry = find_entry(token, hash_bytes(token), entry_data, entry_offsets, entry_hashes, slots)
            if entry >= num_words or (entry < 0 and starts_with(data[position:end], LABEL_PREFIX)):
                while position < end and not is_blank(data[position]):
                    position += 1
                continue
            if entry >= 0:
                word_rows[n - 1] = entry
            at_end = False
            char = np.uint32(ord("<"))
            while not at_end:
                chars[n], word_rows[n] = char, -1
                n += 1
                if n >= CHARS_AT_ONCE:
                    _hash(chars, n - LOOK_AHEAD, two, three)
                    counts[document] += _number(two, three, word_rows, n - LOOK_AHEAD, inputs, zero_row, numbers)
                    _add(rows, numbers, n - LOOK_AHEAD, total, in_order)
                    for i in range(LOOK_AHEAD):
                        chars[i], word_rows[i] = chars[n - LOOK_AHEAD + i], word_rows[n - LOOK_AHEAD + i]
                    n = LOOK_AHEAD
                if position == end:
                    break
                char = np.uint32(data[position])
                if 0xE0 <= char < 0xF0 and position + 3 <= end:  # first, as kana and kanji are like this
                    char |= np.uint32(data[position + 1]) << np.uint32(8)
                    char |= np.uint32(data[position + 2]) << np.uint32(16)
                    position += 3
                elif char < 0x80:
                    at_end = bool(char <= 32 and is_blank(int(char)))
                    position += not at_end
                else:
                    size = min(end - position, 2 + (char >= 0xE0) + (char >= 0xF0))
                    for i in range(1, size):
                        char |= np.uint32(data[position + i]) << np.uint32(8 * i)
                    position += size
            chars[n], word_rows[n] = ord(">"), zero_row
            n += 1
        chars[n], chars[n + 1], word_rows[n] = 0, 0, zero_row
        _hash(chars, n, two, three)
        counts[document] += _number(two, three, word_rows, n, inputs, zero_row, numbers)
        _add(rows, numbers, n, total, in_order)
