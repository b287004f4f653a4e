import random

import datasketch
import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from swallow_spark.kernels import minhash

TEXTS = [
    "",
    "あ",
    "あいうえ",
    "あいうえお",
    "これは重複除去の試験です。" * 30,
    "ｶﾞｷﾞｸﾞ半角カナ",
    "が\u3099 か\u3099 e\u0301",
    "😀👨‍👩‍👧‍👦 絵文字 🇯🇵",
    "𠮷野家で食べる。",
    "a" * 40,
    "\0" * 9,
    "改行\nと\r\nタブ\t。\u3000",
    "".join(chr(0x3041 + i * i % 83) + chr(0x4E00 + i * 7919 % 20000) for i in range(3000)),  # several blocks
]


def shingles(text: str, size: int) -> set[str]:
    return {text[i : i + size] for i in range(max(1, len(text) - size + 1))}


def peer(text: str, num_perm: int = 800, size: int = 5, seed: int = 1) -> np.ndarray:
    m = datasketch.MinHash(num_perm=num_perm, seed=seed, scheme="affine32", hashfunc=xxhash.xxh32_intdigest)
    m.update_batch([s.encode() for s in shingles(text, size)])
    return m.hashvalues


@pytest.mark.parametrize("text", TEXTS, ids=lambda t: repr(t[:8]))
def test_signatures_equal_datasketch(text: str) -> None:
    values = minhash.signatures(pa.array([text]))
    assert values.dtype == np.uint32
    np.testing.assert_array_equal(values[0], peer(text))


@settings(deadline=None, max_examples=60)
@given(
    texts=st.lists(st.text(max_size=60), max_size=4),
    num_perm=st.sampled_from([1, 8, 37, 128]),
    size=st.integers(1, 9),
    seed=st.integers(0, 9),
)
def test_signatures_equal_datasketch_for_any_text_and_setting(
    texts: list[str], num_perm: int, size: int, seed: int
) -> None:
    values = minhash.signatures(pa.array(texts, pa.large_string()), num_perm=num_perm, shingle_chars=size, seed=seed)
    assert values.shape == (len(texts), num_perm)
    for text, row in zip(texts, values, strict=True):
        np.testing.assert_array_equal(row, peer(text, num_perm, size, seed))


def test_slices_nulls_and_types_give_the_same_rows() -> None:
    whole = minhash.signatures(pa.array(TEXTS), num_perm=40)
    for kind in (pa.string(), pa.large_string()):
        array = pa.array(["前", *TEXTS, "後"], kind).slice(1, len(TEXTS))
        np.testing.assert_array_equal(minhash.signatures(array, num_perm=40), whole)
        np.testing.assert_array_equal(minhash.signatures(array.slice(4, 3), num_perm=40), whole[4:7])
    null = minhash.signatures(pa.array([None, "", None], pa.string()), num_perm=40)
    np.testing.assert_array_equal(null, whole[[0, 0, 0]])
    assert minhash.signatures(pa.array([], pa.string())).shape == (0, 800)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="int64"):
        minhash.signatures(pa.array([1]))
    for wrong in ({"num_perm": 0}, {"shingle_chars": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            minhash.signatures(pa.array(["a"]), **wrong)


def test_text_hashes_are_xxh64() -> None:
    hashes = minhash.text_hashes(pa.array(["前", *TEXTS]).slice(1))
    assert hashes.dtype == np.int64
    assert [int(h) % 2**64 for h in hashes] == [xxhash.xxh64_intdigest(t.encode()) for t in TEXTS]


def edited(text: str, share: float, rng: random.Random) -> str:
    return "".join(chr(rng.randrange(0x4E00, 0x9000)) if rng.random() < share else c for c in text)


def estimate_errors(pairs: list[tuple[str, str]]) -> np.ndarray:
    sketches = [minhash.one_bit_sketches(minhash.signatures(pa.array(side))) for side in zip(*pairs, strict=True)]
    truth = [len(shingles(a, 5) & shingles(b, 5)) / len(shingles(a, 5) | shingles(b, 5)) for a, b in pairs]
    return minhash.estimated_jaccard(*sketches) - np.array(truth)


def test_estimated_jaccard_is_close_for_long_texts() -> None:
    rng = random.Random(7)
    pairs = []
    for share in [0.01] * 200 + [0.05] * 50:  # J about .9 and .6
        text = "".join(chr(rng.randrange(0x3041, 0x3097)) for _ in range(800))
        pairs.append((text, edited(text, share, rng)))
    errors = estimate_errors(pairs)
    assert errors[:200].std() < 0.02
    assert abs(errors[:200].mean()) < 0.005
    assert errors[200:].std() < 0.04


def test_estimated_jaccard_is_close_for_texts_of_one_shingle() -> None:
    errors = estimate_errors([(chr(0x4E00 + i), chr(0x6E00 + i)) for i in range(300)])
    assert errors.max() < 0.2  # 0 in truth; the lowest bits themselves would tell 1 for half of the pairs


def test_sketches_of_one_text_are_equal_and_wrong_shapes_are_refused() -> None:
    sketches = minhash.one_bit_sketches(minhash.signatures(pa.array(TEXTS)))
    assert sketches.shape == (len(TEXTS), 100)
    assert sketches.dtype == np.uint8
    estimate = minhash.estimated_jaccard(sketches, sketches)
    assert estimate.dtype == np.float32
    assert (estimate == 1).all()
    assert minhash.estimated_jaccard(sketches[:0], sketches[:0]).shape == (0,)
    with pytest.raises(ValueError, match="multiple of 8"):
        minhash.one_bit_sketches(np.zeros((1, 12), np.uint32))
    with pytest.raises(ValueError, match="row by row"):
        minhash.estimated_jaccard(sketches, sketches[:1])
