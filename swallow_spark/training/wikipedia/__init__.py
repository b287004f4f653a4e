"""Positive examples from a dump of Wikipedia."""
