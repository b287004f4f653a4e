"""Kernels: Arrow arrays in, Arrow or NumPy arrays out. They know no Spark, no paths and no processes."""
