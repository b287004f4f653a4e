"""A corpus on disk: its units and their manifests, the lock, and how tables are written and read."""
