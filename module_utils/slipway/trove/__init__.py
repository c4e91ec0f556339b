"""The mirror of one site: its manifest, mirroring, access and definitions."""
