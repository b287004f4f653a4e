"""The data card of a corpus, or of an export of it."""
