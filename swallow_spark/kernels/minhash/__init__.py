"""MinHash signatures and buckets of pages."""

from swallow_spark.kernels.minhash.minhash import signatures

__all__ = ["signatures"]
