"""Near-duplicates among all pages of the corpus."""
