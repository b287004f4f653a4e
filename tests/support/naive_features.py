"""The features as the words of their definition say, in plain Python: slow, obvious; the kernels must equal it."""

import re
import zlib
from collections import Counter


def in_ranges(c: str, *ranges: tuple[int, int]) -> bool:
    return any(low <= ord(c) <= high for low, high in ranges)


def is_hiragana(c: str) -> bool:
    return in_ranges(c, (0x3041, 0x3096))


def is_katakana(c: str) -> bool:
    return in_ranges(c, (0x30A1, 0x30FA))


def is_kanji(c: str) -> bool:
    return c in "々〇〻" or in_ranges(c, (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2FFFF))


def is_kuten(c: str) -> bool:
    return c in "。．！？"


def is_toten(c: str) -> bool:
    return c in "、，"


def fraction(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def drop_blank_lines(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if line.strip())


def measure(text: str) -> dict[str, float]:
    features: dict[str, float] = {}
    kinds = {
        "hiragana": sum(map(is_hiragana, text)),
        "katakana": sum(map(is_katakana, text)),
        "kanji": sum(map(is_kanji, text)),
        "kuten": sum(map(is_kuten, text)),
        "toten": sum(map(is_toten, text)),
    }
    japanese = sum(kinds.values())
    features["num_letters"] = len(text)
    features["num_japanese_letters"] = japanese
    features["japanese_fraction"] = fraction(japanese, len(text))
    for kind, number in kinds.items():
        features[f"num_{kind}" if kind in ("kuten", "toten") else f"num_{kind}_letters"] = number
        features[f"{kind}_fraction"] = fraction(number, japanese)

    lines = [re.findall("[^。．！？!?]+[。．！？!?]?", line) for line in text.split("\n")]
    paragraphs = ["".join(line) for line in lines]
    sentences = [sentence for line in lines for sentence in line]
    lengths = [len(sentence) for sentence in sentences]
    ellipses = sum(sentence.strip().endswith(("・", "…")) for sentence in sentences)
    features["avg_sentence_length"] = fraction(sum(lengths), len(lengths))
    features["max_sentence_length"] = max(lengths, default=0)
    features["num_sentences_ending_with_ellipsis"] = ellipses
    features["ellipsis_fraction"] = fraction(ellipses, len(sentences))

    for name, pieces in (("paragraph", paragraphs), ("sentence", sentences)):
        times = Counter(pieces)
        repeats = sum(number - 1 for number in times.values())
        repeated_chars = sum((number - 1) * len(piece) for piece, number in times.items())
        features[f"duplicate_{name}_fraction"] = fraction(repeats, len(pieces))
        features[f"duplicate_{name}_fraction_in_character"] = fraction(repeated_chars, sum(map(len, pieces)))

    for n in range(2, 11):
        times = Counter(text[i : i + n] for i in range(len(text) - n + 1))
        total = sum(times.values())
        repeated = [number for number in times.values() if number > 1]
        if n <= 4:
            features[f"top_{n}gram_character_fraction"] = fraction(max(times.values(), default=0), total)
        else:
            features[f"duplicate_{n}gram_character_fraction"] = fraction(len(repeated), len(times))
            features[f"duplicate_{n}gram_occurrence_fraction"] = fraction(sum(repeated), total)
    return features


def measure_groups(text: str) -> dict[str, float]:
    """The features of other pipelines, which are measured where they are asked for."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    times = Counter(lines)
    ellipsis = r"…|\.{3,}|・{3,}"
    symbols = sum(len(re.findall(f"[#＃]|{ellipsis}", line)) for line in lines)
    return {
        "terminal_punctuation_line_fraction": fraction(
            sum(line[-1] in "。．！？.!?…」』”’\"'" for line in lines), len(lines)
        ),
        "short_line_fraction": fraction(sum(len(line) <= 30 for line in lines), len(lines)),
        "duplicate_line_fraction_in_character": fraction(
            sum((number - 1) * len(line) for line, number in times.items()), sum(map(len, lines))
        ),
        "bullet_line_fraction": fraction(sum(line[0] in "・•‣◦●○◎■□▪▫◆◇▶►※＊*－-" for line in lines), len(lines)),
        "ellipsis_line_fraction": fraction(
            sum(re.search(f"({ellipsis})$", line) is not None for line in lines), len(lines)
        ),
        "symbol_fraction": fraction(symbols, sum(not c.isspace() for c in "".join(lines))),
        "compression_ratio": fraction(len(text.encode()), len(zlib.compress(text.encode(), 6))),
    }
