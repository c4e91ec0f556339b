"""The service that builds a branch continuously, and the status that it publishes."""
