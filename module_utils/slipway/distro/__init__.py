"""Distributions of stacks: the distro file, and a release of one."""
