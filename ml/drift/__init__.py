"""Drift of new patients against those that a model was trained on."""
