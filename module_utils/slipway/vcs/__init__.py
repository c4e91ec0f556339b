"""Where the sources of stacks are: git, Subversion, Mercurial, Bazaar and Debian source packages."""
