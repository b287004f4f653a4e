"""Shares of benchmarks' questions in pages."""
