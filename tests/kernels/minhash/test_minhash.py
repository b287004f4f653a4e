import random
import subprocess
import sys
import tempfile

import datasketch
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from places import DEMO_TEXTS

from swallow_spark.kernels.minhash import minhash

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


@pytest.mark.parametrize("seed", [0, 1, 2, 12345, 2**32 - 1])
@pytest.mark.parametrize("num_perm", [1, 2, 37, 800, 4096])
def test_permutations_are_those_of_datasketch(num_perm: int, seed: int) -> None:
    theirs = datasketch.MinHash(num_perm=num_perm, seed=seed, scheme="affine32").permutations
    for own, other in zip(minhash._permutations(num_perm, seed), theirs, strict=True):
        assert own.dtype == np.uint32
        np.testing.assert_array_equal(own, other)


def test_datasketch_is_not_loaded_by_signatures() -> None:
    code = (
        "import sys, pyarrow as pa; from swallow_spark.kernels.minhash import minhash;"
        "minhash.signatures(pa.array(['あ'])); assert 'datasketch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@settings(max_examples=60)
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


def test_signatures_of_real_texts_equal_datasketch() -> None:
    texts = pq.read_table(DEMO_TEXTS / "wiki.parquet")["text"].to_pylist()[:60]
    texts.append("\n".join(texts))
    assert len(texts[-1]) > 20_000
    values = minhash.signatures(pa.array(texts))
    for text, row in zip(texts, values, strict=True):
        np.testing.assert_array_equal(row, peer(text))


POOLS = [
    (0x20, 0x7F),  # ASCII
    (0x3041, 0x30FF),  # kana
    (0x4E00, 0x9FFF),  # ideographs
    (0xFF61, 0xFFA0),  # half-width kana
    (0x300, 0x370),  # combining marks
    (0x80, 0x800),  # two bytes in UTF-8
    (0x1F300, 0x1FAFF),  # emoji: four bytes
    (0x20000, 0x2A6DF),  # ideographs of four bytes
    (0, 0x20),  # controls
]


def reference(texts: list[str], num_perm: int, columns: slice = slice(None)) -> np.ndarray:
    """datasketch's definition by NumPy, for many texts at once: uint32, those columns of (len(texts), num_perm)."""
    hashes, starts = [], []
    for text in texts:
        starts.append(len(hashes))
        hashes.extend(xxhash.xxh32_intdigest(s.encode()) for s in shingles(text, 5))
    h = np.array(hashes, np.uint32)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    a, b = datasketch.MinHash(num_perm=num_perm, seed=1, scheme="affine32").permutations
    pairs = zip(a[columns], b[columns], strict=True)
    return np.stack([np.minimum.reduceat(h * a_k + b_k, starts) for a_k, b_k in pairs], axis=1)


def fuzz(seed: int, number: int, num_perm: int) -> None:
    """Texts of pieces from all pools: mostly short ones, some as long as the kernel's blocks, or longer."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 24, number)
    long = rng.random(number) < 1 / 2000
    lengths[long] = rng.choice([1020, 1023, 1024, 1025, 1028, 1029, 2052, 3000], long.sum())
    pieces = rng.integers(0, len(POOLS), lengths.sum() // 4 + 1).repeat(4)[: lengths.sum()]
    low, high = np.array(POOLS).T
    points = rng.integers(low[pieces], high[pieces]).astype("<u4")
    whole, ends = points.tobytes().decode("utf-32-le"), np.cumsum(lengths)
    texts = [whole[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    np.testing.assert_array_equal(minhash.signatures(pa.array(texts), num_perm=num_perm), reference(texts, num_perm))


def test_fuzz_of_short_texts_equals_a_reference_in_numpy() -> None:
    for seed in range(4):  # 5 million such texts were compared once, in pieces, with this function
        fuzz(seed, 5000, 32)


@pytest.mark.parametrize(
    "text", [b"\x80\x81", b"\x81\x82\x83\x84\x85\x86\x87", b"ab\xff\xfe\xe3\x81cdefg\x80", b"\xe3\x81\x82\xf0\x9f"]
)
def test_bytes_that_are_no_utf8_are_cut_before_every_byte_but_continuations(text: bytes) -> None:
    places = [at for at, byte in enumerate(text) if at == 0 or byte & 0xC0 != 0x80] + [len(text)]
    count = max(1, len(places) - 5)
    cut = {text[places[at] : places[min(at + 5, len(places) - 1)]] for at in range(count)}
    m = datasketch.MinHash(num_perm=16, seed=1, scheme="affine32", hashfunc=xxhash.xxh32_intdigest)
    m.update_batch(list(cut))
    buffers = [None, pa.py_buffer(np.array([0, len(text)], np.int32)), pa.py_buffer(text)]
    array = pa.Array.from_buffers(pa.string(), 1, buffers)
    np.testing.assert_array_equal(minhash.signatures(array, num_perm=16)[0], m.hashvalues)


def test_a_text_of_ten_megabytes_takes_no_memory_and_equals_the_reference() -> None:
    """In a separate process, whose peak of memory is that of this call."""
    script = """
import numpy as np, pyarrow as pa, sys
from swallow_spark.kernels import minhash
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
points = np.random.default_rng(5).integers(0x4E00, 0x4E00 + 20000, 3_400_000).astype("<u4")
array = pa.array([points.tobytes().decode("utf-32-le")])
assert array.nbytes > 10_000_000
minhash.signatures(pa.array(["short"]))
before = peak()
values = minhash.signatures(array)[0]
print(peak() - before)
np.save(sys.argv[1], values)
"""
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        done = subprocess.run([sys.executable, "-c", script, file.name], check=True, capture_output=True, text=True)
        values = np.load(file.name)
    assert int(done.stdout) < 8 << 10  # KiB
    text = np.random.default_rng(5).integers(0x4E00, 0x4E00 + 20000, 3_400_000).astype("<u4").tobytes()
    np.testing.assert_array_equal(values[:2], reference([text.decode("utf-32-le")], 800, slice(2))[0])


def edited(text: str, share: float, rng: random.Random) -> str:
    return "".join(chr(rng.randrange(0x4E00, 0x9000)) if rng.random() < share else c for c in text)


def estimate_errors(pairs: list[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """The estimates' errors, and the exact similarities."""
    sketches = [minhash.one_bit_sketches(minhash.signatures(pa.array(side))) for side in zip(*pairs, strict=True)]
    truth = [len(shingles(a, 5) & shingles(b, 5)) / len(shingles(a, 5) | shingles(b, 5)) for a, b in pairs]
    return minhash.estimated_jaccard(*sketches) - np.array(truth), np.array(truth)


@pytest.mark.parametrize(
    ("share", "jaccard"), [(0.0025, 0.975), (0.0053, 0.95), (0.0105, 0.9), (0.022, 0.8), (0.035, 0.7), (0.076, 0.5)]
)
def test_estimated_jaccard_has_the_standard_error_that_is_told(share: float, jaccard: float) -> None:
    rng = random.Random(7)
    pairs = []
    for _ in range(200):
        text = "".join(chr(rng.randrange(0x3041, 0x3097)) for _ in range(800))
        pairs.append((text, edited(text, share, rng)))
    errors, truth = estimate_errors(pairs)
    assert abs(truth.mean() - jaccard) < 0.02
    expected = np.sqrt((1 - truth**2) / 800).mean()
    assert 0.85 * expected < errors.std() < 1.15 * expected  # for 200 pairs: .15 is three standard errors
    assert abs(errors.mean()) < 3 * expected / np.sqrt(200)
    if jaccard == 0.9:
        assert errors.std() < 0.02


def test_estimated_jaccard_is_close_for_texts_of_one_shingle() -> None:
    errors, _ = estimate_errors([(chr(0x4E00 + i), chr(0x6E00 + i)) for i in range(300)])
    assert errors.max() < 0.2  # 0 in truth; the lowest bits themselves would give 1 for half of the pairs


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
