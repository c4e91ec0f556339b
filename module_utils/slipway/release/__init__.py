"""A release's artifacts, names, records and lock."""
