"""Pairs in, weights out: recipes, batches, the training step, the loop. `train` runs a recipe and resumes it."""
