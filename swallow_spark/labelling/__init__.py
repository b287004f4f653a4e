"""Labelling texts with an LLM behind an OpenAI-compatible endpoint."""
