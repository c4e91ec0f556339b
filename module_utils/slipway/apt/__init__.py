"""Archives of Debian packages: their sources, indexes, publication, and what a solver says of them."""
