"""Cuts of ordered values, samples, and how much a corpus needs."""
