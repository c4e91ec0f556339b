"""Morph's artifact cache, its artifacts on Troves, and its deployments."""
