"""What anybody outside can find out of what is published, with its address and a key alone."""
