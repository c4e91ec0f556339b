"""The service that releases what a signed tag asks for."""
