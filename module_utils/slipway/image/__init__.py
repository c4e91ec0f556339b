"""Files made of a system: trees, tar archives, disks, initramfs."""
