"""Two results side by side: presets, cuts, corpora."""
