"""Training and comparisons; nothing of the codec imports it."""
