"""What modules share: their options, and how they report their results."""
