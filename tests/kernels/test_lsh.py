import random

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from swallow_spark.kernels import lsh
from swallow_spark.kernels.minhash import minhash
from swallow_spark.tables import SKETCHES

TEXTS = ["", "春はあけぼの。", "春はあけぼの。やうやう白くなりゆく山ぎは、", "夏は夜。" * 50, "😀", "夏は夜。" * 50]


def test_band_keys_are_xxh64_of_the_band_seeded_with_its_number() -> None:
    values = minhash.signatures(pa.array(TEXTS))
    keys = lsh.band_keys(values)
    assert keys.dtype == np.int64
    assert keys.shape == (len(TEXTS), 40)
    for i in range(len(TEXTS)):
        for band in range(40):
            raw = values[i, 20 * band : 20 * band + 20].astype("<u4").tobytes()
            assert int(keys[i, band]) % 2**64 == xxhash.xxh64_intdigest(raw, seed=band)


def test_band_keys_of_a_view_and_of_other_settings() -> None:
    values = minhash.signatures(pa.array(TEXTS), num_perm=64)
    expected = lsh.band_keys(values, bands=5, rows_per_band=7)
    np.testing.assert_array_equal(lsh.band_keys(values[::2], bands=5, rows_per_band=7), expected[::2])
    same = np.zeros((1, 8), np.uint32)
    assert len(set(lsh.band_keys(same, bands=4, rows_per_band=2)[0])) == 4  # equal values, but of different bands
    with pytest.raises(ValueError, match="do not fit"):
        lsh.band_keys(values)
    with pytest.raises(ValueError, match="at least 1"):
        lsh.band_keys(values, bands=0)


def test_collision_probability() -> None:
    assert lsh.collision_probability(0.9) == pytest.approx(0.9944, abs=1e-5)
    assert lsh.collision_probability(0.8) == pytest.approx(0.3711, abs=1e-4)
    assert lsh.collision_probability(1.0) == 1
    assert lsh.collision_probability(0.0) == 0
    assert lsh.collision_probability(0.5, bands=2, rows_per_band=1) == pytest.approx(0.75)
    with pytest.raises(ValueError, match="within 0 and 1"):
        lsh.collision_probability(1.1)


@pytest.mark.parametrize("rows_at_once", [1, 2, 1024])
def test_sketch_holds_bands_bits_and_hash_of_each_text(rows_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsh, "_ROWS_AT_ONCE", rows_at_once)
    batch = lsh.sketch(pa.array(["前", *TEXTS], pa.large_string()).slice(1))
    batch.validate(full=True)
    assert batch.schema == pa.schema(list(SKETCHES)[1:])
    values = minhash.signatures(pa.array(TEXTS))
    assert batch.column("bands").to_pylist() == lsh.band_keys(values).tolist()
    assert batch.column("sketch").to_pylist() == [row.tobytes() for row in minhash.one_bit_sketches(values)]
    assert batch.column("text_hash").to_pylist() == minhash.text_hashes(pa.array(TEXTS)).tolist()
    assert batch.slice(3, 1).equals(batch.slice(5, 1))


def test_sketches_as_rows_of_bytes() -> None:
    sketches = pa.array([b"ab", b"cd", b"ef", b"gh"], pa.binary())
    for part in (sketches, sketches.slice(1, 2), sketches.slice(2), sketches.slice(4)):
        assert [row.tobytes() for row in lsh.sketch_bytes(part)] == part.to_pylist()
    for wrong in ([b"ab", b"c"], [b"ab", None], [None]):
        with pytest.raises(ValueError, match="lengths"):
            lsh.sketch_bytes(pa.array(wrong, pa.binary()))


def test_sketch_of_nothing_and_of_a_wrong_setting() -> None:
    assert lsh.sketch(pa.array([], pa.string())).num_rows == 0
    with pytest.raises(ValueError, match="multiple of 8"):
        lsh.sketch(pa.array(TEXTS), bands=3, rows_per_band=3)


def test_hardly_a_pair_below_min_similarity_passes() -> None:
    """The documented bounds of `min_similarity`, on pairs of a text and an edit of it."""
    rng = random.Random(11)
    texts, exact = [], []
    for _ in range(150):
        original = [chr(rng.randrange(0x4E00, 0x9000)) for _ in range(600)]
        texts.append("".join(original))
        own = {texts[-1][at : at + 5] for at in range(596)}
        for _ in range(40):
            edit = list(original)
            for at in rng.sample(range(600), rng.randrange(2, 60)):
                edit[at] = "あ"
            texts.append("".join(edit))
            other = {texts[-1][at : at + 5] for at in range(596)}
            exact.append(len(own & other) / len(own | other))
    packed = lsh.sketch_bytes(lsh.sketch(pa.array(texts))["sketch"]).reshape(150, 41, -1)
    edits = packed[:, 1:].reshape(6000, -1)
    estimates = minhash.estimated_jaccard(np.repeat(packed[:, 0], 40, axis=0), edits)
    jaccard = np.array(exact)
    for min_similarity in (0.6, 0.7, 0.8, 0.9):
        passes = estimates >= np.float32(min_similarity)
        for distance, allowed in ((0.05, 0.02), (0.10, 0.0005)):
            below = jaccard < min_similarity - distance
            assert below.sum() > 1000
            assert passes[below].mean() <= allowed
        above = jaccard >= min_similarity + 0.05
        assert above.sum() > 100
        assert passes[above].mean() > 0.97
