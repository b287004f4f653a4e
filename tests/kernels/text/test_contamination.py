import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swallow_spark.config.decontaminate import Decontamination
from swallow_spark.config.section import Listing
from swallow_spark.errors import ConfigError
from swallow_spark.kernels.text import contamination

QUESTION = "次のうち、日本で一番高い山はどれですか。富士山、北岳、奥穂高岳"


def letters(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).lower()
    return "".join(c for c in plain if unicodedata.category(c)[0] in "LNM")


def naive(text: str, questions: list[str], n: int) -> tuple[float, int]:
    def ngrams(text: str) -> set[str]:
        return {text[i : i + n] for i in range(len(text) - n + 1)}

    own = ngrams(letters(text))
    shares = [len(own & grams) / len(grams) if (grams := ngrams(letters(q))) else 0.0 for q in questions]
    best = max(shares)
    return (best, shares.index(best)) if best else (0.0, -1)


def measure(texts: list[str], questions: list[str], n: int) -> list[tuple[float, int]]:
    found = contamination.measure(pa.array(texts, pa.string()), contamination.index(questions, n), n)
    return list(zip(found.fraction.tolist(), found.question.tolist(), strict=True))


def test_width_blanks_case_and_punctuation_do_not_count() -> None:
    same = [
        f"問題。{QUESTION}。答え",
        "次のうち 日本で\n一番高い山は\u3000どれですか？\n・富士山\n・北岳\n・奥穂高岳",
        "前\u200b次のうち,日本で一番高い山はどれですか｡富士山､北岳､奥穂高岳後",
    ]
    assert [share for share, _ in measure(same, [QUESTION], 8)] == [1.0] * 3
    kana = ["ｶﾞﾗｽのﾊﾟﾈﾙは ＡＢＣ１２ ｃｍ です", "ガラスのパネルはABC12cmです"]
    assert measure([kana[0]], [kana[1]], 5) == measure([kana[1]], [kana[0]], 5) == [(1.0, 0)]


def test_the_share_is_of_the_question_and_the_best_question_is_told() -> None:
    questions = ["短い", "あいうえおかきくけこ", "さしすせそたちつてと", "さしすせそたちつてと"]
    texts = ["あいうえおかきく", "さしすせそたちつてと" * 3, "なにぬねの", "", "短い"]
    assert measure(texts, questions, 5) == [(4 / 6, 1), (1.0, 2), (0.0, -1), (0.0, -1), (0.0, -1)]


@given(
    texts=st.lists(st.text("あいうＡa １1。\n𠮷が\u3099", max_size=40), max_size=4),
    questions=st.lists(st.text("あいうa1 𠮷か", max_size=12), min_size=1, max_size=5),
    n=st.integers(1, 4),
)
def test_equal_to_naive(texts: list[str], questions: list[str], n: int) -> None:
    if max(len(letters(question)) for question in questions) < n:
        with pytest.raises(ValueError, match="no question"):
            contamination.index(questions, n)
    else:
        assert measure(texts, questions, n) == [naive(text, questions, n) for text in texts]


def test_nulls_are_empty() -> None:
    found = contamination.measure(pa.array([None, "ああ"], pa.large_string()), contamination.index(["ああ"], 2), 2)
    assert found.fraction.tolist() == [0.0, 1.0]


def test_questions_are_under_the_first_field_that_a_line_has() -> None:
    content = '\ufeff{"question": "一", "answer": "二"}\n\n{"id": 3, "text": "三", "question": "四"}\r\n'.encode()
    lists = (Listing("a", content), Listing("b", b'{"question": "5"}'))
    assert Decontamination(against=lists, fields=("text", "question")).questions() == ["一", "三", "5"]


@pytest.mark.parametrize("line", ["{", "[]", '{"answer": "二"}', '{"text": 3}', '"text"'])
def test_a_line_without_a_question_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match=r"^a, line 2: not? "):
        Decontamination(against=(Listing("a", f'{{"text": "一"}}\n{line}'.encode()),), fields=("text",)).questions()
