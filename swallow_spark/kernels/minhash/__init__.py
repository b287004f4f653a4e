"""Signatures, their bands, and the buckets that pages share."""

from swallow_spark.kernels.minhash.minhash import signatures

__all__ = ["signatures"]
