"""Released sources: what a stack says of itself, its tarball and control YAML, and the repository that keeps them."""
