"""Before a run: what it will need."""
