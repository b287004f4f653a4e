"""Checks of texts, URLs and hosts, and changes of texts."""
