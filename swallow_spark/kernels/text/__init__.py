"""What is looked for in texts, URLs and hosts, or changed in texts."""
