"""The features that fastText finds in a text, and the sum of their rows: compiled loops for `fasttext`."""

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from swallow_spark.kernels.text.utf8 import Bytes, Offsets

Numbers = NDArray[np.int32]
Hashes = NDArray[np.uint32]

END_OF_LINE: Final = b"</s>"
LABEL_PREFIX: Final = b"__label__"
FEATURES_AT_ONCE: Final = 1024
FNV_OFFSET: Final = 2166136261
FNV_PRIME: Final = 16777619
WORD_NGRAM_FACTOR: Final = np.uint64(116049371)


class Inputs(NamedTuple):
    """The vocabulary of a model and the rows of its features: see `Table` for the arrays."""

    entries: Bytes
    entry_offsets: Offsets
    entry_hashes: Offsets
    slots: Numbers
    num_words: int
    rows: NDArray[np.float32]
    num_buckets: int
    kept: Numbers


def index_entries(entries: list[bytes]) -> tuple[Bytes, Offsets, Offsets, Numbers]:
    """The entries' bytes, offsets and hashes, and an open-addressing table of their numbers (at least half empty)."""
    data = np.frombuffer(b"".join(entries), np.uint8)
    offsets = np.zeros(len(entries) + 1, np.int64)
    np.cumsum([len(entry) for entry in entries], out=offsets[1:])
    slots = np.full(1 << (2 * len(entries)).bit_length(), -1, np.int32)
    hashes = np.zeros(len(entries), np.int64)
    _fill_slots(data, offsets, hashes, slots)
    return data, offsets, hashes, slots


@njit(cache=True, nogil=True, inline="always")
def step(h: Any, byte: Any) -> Any:
    """One step of 32-bit FNV-1a with the lowest 8 bits of `byte`, whose sign fastText extends to the upper 24 bits."""
    return np.uint32((h ^ np.uint32(np.int32(np.int8(byte)))) * np.uint32(FNV_PRIME))


@njit(cache=True, nogil=True)
def hash_bytes(token: Bytes) -> int:
    """fastText's hash of a token."""
    h = np.uint32(FNV_OFFSET)
    for i in range(len(token)):
        h = step(h, token[i])
    return int(h)


@njit(cache=True, nogil=True)
def _fill_slots(data: Bytes, offsets: Offsets, hashes: Offsets, slots: Numbers) -> None:
    for entry in range(len(hashes)):
        h = hash_bytes(data[offsets[entry] : offsets[entry + 1]])
        hashes[entry] = h
        slot = h & (len(slots) - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (len(slots) - 1)
        slots[slot] = entry


@njit(cache=True, nogil=True)
def is_blank(byte: int) -> bool:
    """Whether the byte ends a token in fastText."""
    return byte == 32 or byte == 0 or 9 <= byte <= 13


@njit(cache=True, nogil=True)
def starts_with(token: Bytes, prefix: bytes) -> bool:
    if len(token) < len(prefix):
        return False
    for i in range(len(prefix)):  # noqa: SIM110 - compiled
        if token[i] != prefix[i]:
            return False
    return True


@njit(cache=True, nogil=True)
def find_entry(token: Bytes, h: int, data: Bytes, offsets: Offsets, hashes: Offsets, slots: Numbers) -> int:
    """The number of the vocabulary entry that equals `token` (h: its hash), or -1."""
    slot = h & (len(slots) - 1)
    while slots[slot] >= 0:
        entry = int(slots[slot])
        start = offsets[entry]
        if hashes[entry] == h and offsets[entry + 1] - start == len(token):
            same = True
            for i in range(len(token)):
                if data[start + i] != token[i]:
                    same = False
                    break
            if same:
                return entry
        slot = (slot + 1) & (len(slots) - 1)
    return -1


@njit(cache=True, nogil=True)
def _add_rows(rows: NDArray[np.float32], numbers: Numbers, count: int, total: NDArray[Any]) -> int:
    """Adds the rows with the first `count` numbers to `total`, one by one; returns 0, the new count."""
    for i in range(count):
        row = numbers[i]
        for k in range(len(total)):
            total[k] += rows[row, k]
    return 0


@njit(cache=True, nogil=True)
def _hash_ngrams(
    token: Bytes, starts: Offsets, first: int, last: int, num_chars: int, minn: int, maxn: int, hashes: Hashes
) -> int:
    """Writes the hashes of the n-grams that begin with characters `first` to `last` - 1 of a token of `num_chars`
    characters, `<` and `>` included; returns their number."""
    count = 0
    for begin in range(first, last):
        h = np.uint32(FNV_OFFSET)
        at = starts[begin]
        for n in range(1, min(maxn, num_chars - begin) + 1):
            end = starts[begin + n]
            while at < end:
                h = step(h, token[at])
                at += 1
            if n >= minn and not (n == 1 and (begin == 0 or begin + 1 == num_chars)):
                hashes[count] = h
                count += 1
    return count


@njit(cache=True, nogil=True, inline="always")
def remainder(h: Any, num_buckets: Any) -> Any:
    """h (32 bits) modulo the number of hash buckets (or 1), faster than a division: a double is off by one at most."""
    modulus = np.int64(max(num_buckets, 1))
    row = np.int64(h) - np.int64(np.float64(h) * (1.0 / modulus)) * modulus
    row += modulus * (row < 0)
    row -= modulus * (row >= modulus)
    return row


@njit(cache=True, nogil=True)
def _append_rows(
    hashes: Hashes, count: int, num_buckets: int, kept: Numbers, num_words: int, numbers: Numbers, pending: int
) -> int:
    """Appends the row numbers of hashes to `numbers`; returns the new length."""
    for i in range(count):
        row = remainder(hashes[i], num_buckets)
        if len(kept):
            row = np.int64(kept[row])
        numbers[pending] = row + num_words
        pending += int(row >= 0)
    return pending


@njit(cache=True, nogil=True)
def sum_features(
    data: Bytes, offsets: Offsets, inputs: Inputs, minn: int, maxn: int, word_ngrams: int, sums: Any, counts: Offsets
) -> None:
    """Adds the rows of each text's features to `sums` (n, width), one by one in fastText's order, and their number to
    `counts` (n,).

    fastText's rules: blanks separate tokens (U+3000 is not a blank). The end of the line is the token `</s>`; a
    written-out `</s>` ends the text too. A token of the vocabulary is a feature; so are the n-grams of `minn` to `maxn`
    characters of `<token>`, except `<` and `>` alone, for any token but `</s>`. Labels and other tokens with the label
    prefix are ignored. Word n-grams are features if the model has them. n-grams are hashed to hash buckets; those of a
    pruned bucket are dropped (`kept` is empty in a model without pruning).
    """
    entry_data, entry_offsets, entry_hashes, slots, num_words, rows, num_buckets, kept = inputs
    longest = 0
    for document in range(len(counts)):
        longest = max(longest, offsets[document + 1] - offsets[document])
    longest_entry = 0
    for entry in range(len(entry_hashes)):
        longest_entry = max(longest_entry, entry_offsets[entry + 1] - entry_offsets[entry])
    token = np.empty(longest + 8, np.uint8)  # <token>, or </s> in brackets
    starts = np.empty(longest + 10, np.int64)  # of the characters in `token`, and the end
    word_hashes = np.empty(longest // 2 + 2 if word_ngrams > 1 else 0, np.uint64)
    numbers = np.empty(2 * FEATURES_AT_ONCE + max(maxn, 0) + max(word_ngrams, 0), np.int32)
    hashes = np.empty(FEATURES_AT_ONCE + max(maxn, 0), np.uint32)
    chars_at_once = max(1, FEATURES_AT_ONCE // max(1, maxn - minn + 1))
    modulus = max(num_buckets, 1)
    pruned = len(kept) > 0
    for document in range(len(counts)):
        position, end = offsets[document], offsets[document + 1]
        total = sums[document]
        pending = 0  # features in `numbers` not yet added
        num_hashes = 0
        at_end = False
        while not at_end:
            while position < end and is_blank(data[position]):
                position += 1
            token[0] = ord("<")
            starts[0] = 0
            num_chars = 1
            begin = position
            while position < end and (data[position] > 32 or not is_blank(data[position])):
                position += 1
            length = position - begin
            for i in range(1, length + 1):
                byte = data[begin + i - 1]
                token[i] = byte
                starts[num_chars] = i
                num_chars += byte & 0xC0 != 0x80
            if length == 0:
                for byte in END_OF_LINE:
                    length += 1
                    token[length] = byte
            token[length + 1] = ord(">")
            word = token[1 : length + 1]
            at_end = length == len(END_OF_LINE) and starts_with(word, END_OF_LINE)

            entry = -1
            h = FNV_OFFSET
            if word_ngrams > 1 or length <= longest_entry:  # a longer token is in no vocabulary
                h = hash_bytes(word)
                entry = find_entry(word, h, entry_data, entry_offsets, entry_hashes, slots)
            if entry >= num_words or (entry < 0 and starts_with(word, LABEL_PREFIX)):
                continue
            if entry >= 0:
                numbers[pending] = entry
                pending += 1
            if word_ngrams > 1:
                word_hashes[num_hashes] = np.uint64(np.int64(np.int32(np.uint32(h))))  # the sign is extended
                num_hashes += 1
            if not at_end and maxn > 0:
                starts[num_chars] = length + 1
                num_chars += 1
                starts[num_chars] = length + 2
                for first in range(0, num_chars, chars_at_once):
                    last = min(first + chars_at_once, num_chars)
                    found = _hash_ngrams(token, starts, first, last, num_chars, minn, maxn, hashes)
                    pending = _append_rows(hashes, found, num_buckets, kept, num_words, numbers, pending)
                    if pending >= FEATURES_AT_ONCE:
                        counts[document] += pending
                        pending = _add_rows(rows, numbers, pending, total)
            if pending >= FEATURES_AT_ONCE:
                counts[document] += pending
                pending = _add_rows(rows, numbers, pending, total)
        for i in range(num_hashes):
            chain = word_hashes[i]
            for j in range(i + 1, min(num_hashes, i + word_ngrams)):
                chain = chain * WORD_NGRAM_FACTOR + word_hashes[j]
                row = np.int64(chain % np.uint64(modulus))
                if pruned:
                    row = np.int64(kept[row])
                if row >= 0:
                    numbers[pending] = row + num_words
                    pending += 1
            if pending >= FEATURES_AT_ONCE:
                counts[document] += pending
                pending = _add_rows(rows, numbers, pending, total)
        counts[document] += pending
        _add_rows(rows, numbers, pending, total)
