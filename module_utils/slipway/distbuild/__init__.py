"""Morph's distbuild network, protocol 4."""
