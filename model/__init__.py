"""A mail as data, and what it looks like: extraction, normalising, leak detectors, score, policy."""
