import numpy as np
import pytest
import xxhash

from swallow_spark.kernels.minhash.xxhash import xxh32, xxh32_each, xxh64


@pytest.mark.parametrize("length", [*range(70), 1000, 4097])
def test_hashes_equal_the_library_at_every_length_and_alignment(length: int) -> None:
    data = np.random.default_rng(length).integers(0, 256, length + 3, dtype=np.uint8)
    for start in (0, 3):
        chunk = data[start : start + length].tobytes()
        assert int(xxh32(data, start, start + length)) == xxhash.xxh32_intdigest(chunk)
        for seed in (0, 1, 39):
            assert int(xxh64(data, start, start + length, seed)) == xxhash.xxh64_intdigest(chunk, seed=seed)


def test_many_short_strings_hash_as_each_does() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        data = rng.integers(0, 256, rng.integers(1, 300), dtype=np.uint8)  # nothing may be read after its end
        starts = rng.integers(0, data.size + 1, 200)
        stops = np.minimum(starts + rng.integers(0, 40, starts.size) // 2, data.size)
        hashes = np.zeros(starts.size, np.uint32)
        xxh32_each(data, starts, stops, np.empty((5, starts.size), np.uint32), hashes)
        chunks = [data[start:stop].tobytes() for start, stop in zip(starts, stops, strict=True)]
        assert hashes.tolist() == [xxhash.xxh32_intdigest(chunk) for chunk in chunks]
