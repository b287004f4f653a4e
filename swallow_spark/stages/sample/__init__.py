"""Samples of pages."""
