"""Training: data, and one trainer per model family."""
