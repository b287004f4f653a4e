"""The features of a text by fastText's rules, written to be read: what the compiled kernel must find."""

import re


def fnv1a(data: bytes) -> int:
    h = 2166136261
    for byte in data:
        h ^= byte if byte < 0x80 else byte | 0xFFFFFF00
        h = h * 16777619 % 2**32
    return h


def tokens(text: str) -> list[str]:
    found = [token for token in re.split("[ \n\r\t\v\f\0]", text) if token]
    found.append("</s>")
    return found[: found.index("</s>") + 1]


def features(
    text: str, words: list[str], labels: list[str], *, buckets: int, minn: int, maxn: int, word_ngrams: int
) -> list[int]:
    """Rows of the input matrix, in fastText's order but for words of the vocabulary, which need no order here."""
    rows = []
    hashes = []
    for token in tokens(text):
        if token in labels or (token not in words and token.startswith("__label__")):
            continue
        if token in words:
            rows.append(words.index(token))
        signed = fnv1a(token.encode())
        hashes.append(signed if signed < 2**31 else signed - 2**32)
        if token == "</s>":
            continue
        padded = f"<{token}>"
        for start in range(len(padded)):
            for n in range(minn, maxn + 1):
                gram = padded[start : start + n]
                bracket = n == 1 and start in (0, len(padded) - 1)  # a literal < or > inside the token does count
                if len(gram) == n and not bracket:
                    rows.append(len(words) + fnv1a(gram.encode()) % buckets)
    for start in range(len(hashes)):
        gram_hash = hashes[start] % 2**64
        for following in hashes[start + 1 : start + word_ngrams]:
            gram_hash = (gram_hash * 116049371 + following) % 2**64
            rows.append(len(words) + gram_hash % buckets)
    return rows
