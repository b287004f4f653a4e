"""WARC files to records."""
