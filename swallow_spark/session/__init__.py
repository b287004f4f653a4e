"""The Spark session, and what is told while it works."""
