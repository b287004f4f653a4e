"""Inputs to pages."""
