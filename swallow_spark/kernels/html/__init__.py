"""HTML pages to title, main text and the reasons against them."""

from swallow_spark.kernels.html.html import VERSION, Extracted, extract

__all__ = ["VERSION", "Extracted", "extract"]
