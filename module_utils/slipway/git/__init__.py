"""Git repositories: remote refs, trees, files, archives, history."""
