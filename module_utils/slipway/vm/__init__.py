"""The machine that makes releases, as a disk that anybody trusted can start."""
