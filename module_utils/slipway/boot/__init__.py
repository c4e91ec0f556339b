"""Systems started under qemu, and what they say on their serial consoles."""
