"""What modules share: their options, and how they tell what happened."""
