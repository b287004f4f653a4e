"""Subsets as files for others."""
