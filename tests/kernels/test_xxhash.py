import numpy as np
import pytest
import xxhash

from swallow_spark.kernels.xxhash import xxh32, xxh64


@pytest.mark.parametrize("length", [*range(70), 1000, 4097])
def test_hashes_equal_the_library_at_every_length_and_alignment(length: int) -> None:
    data = np.random.default_rng(length).integers(0, 256, length + 3, dtype=np.uint8)
    for start in (0, 3):
        chunk = data[start : start + length].tobytes()
        assert int(xxh32(data, start, start + length)) == xxhash.xxh32_intdigest(chunk)
        for seed in (0, 1, 39):
            assert int(xxh64(data, start, start + length, seed)) == xxhash.xxh64_intdigest(chunk, seed=seed)
