"""Pages that are removed on request."""
