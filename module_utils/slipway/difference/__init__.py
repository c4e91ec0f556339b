"""What is in images, read without mounting them, and how two of them differ."""
