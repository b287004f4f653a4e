"""Verdicts by the rules."""
