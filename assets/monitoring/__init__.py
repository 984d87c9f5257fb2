"""Monitoring: whether new patients are still like those that a model was trained on."""
