"""What a host is prepared with: base systems, chroots, emulators, environments, text files."""
