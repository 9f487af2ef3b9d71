"""Edits: latent -> latent. Pure functions on tensors: no model, no file, no page."""
