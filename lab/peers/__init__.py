"""Training of the learned baselines, and fitting of the patch-constant ones."""
