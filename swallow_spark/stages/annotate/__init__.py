"""Sketches and features of pages."""
