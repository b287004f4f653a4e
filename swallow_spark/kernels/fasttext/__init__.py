"""fastText models: read, mapped, and evaluated over Arrow arrays."""

from swallow_spark.kernels.fasttext.fasttext import load

__all__ = ["load"]
