"""What must hold before a release goes on."""
