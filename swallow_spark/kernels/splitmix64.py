"""The finalizer of SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014)."""

from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

Numbers = TypeVar("Numbers", np.uint64, NDArray[np.uint64])


def mixed(values: Numbers) -> Numbers:
    """64 evenly distributed bits for each 64-bit number; a bijection."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


mixed_one: Any = njit(nogil=True, inline="always")(mixed)
"""`mixed` of one number, for compiled kernels."""
