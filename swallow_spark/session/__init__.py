"""The Spark session, its progress, metrics and notifications."""
