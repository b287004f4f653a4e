"""Subsets by the cuts of rankings."""
