"""Gates: what the numbers of an evaluation prove, and what they do not."""
