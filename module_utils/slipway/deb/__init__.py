"""One Debian package: its version, control file, relations, members, and its stamped form."""
