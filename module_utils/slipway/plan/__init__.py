"""What a release is made of: its cluster, systems and deployments."""
