"""Mixtures, models, losses and the training loop."""
