"""Lines that repeat across the pages of a host."""
