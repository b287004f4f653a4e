"""Cuts of ordered values, samples, and the capacity that a corpus needs."""
