"""Classifiers' scores."""
