"""What a corpus amounts to: the summary, the tables for people, the report."""
