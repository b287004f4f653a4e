"""A local, read-only web page over a corpus: what was kept, what was dropped, and why."""
