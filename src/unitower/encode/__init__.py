"""Items in, embeddings out: prompts, tokens and pixels, batches by budget, and the encoder a person loads."""
