"""Stages of the data, in flow order, and the pure modules they share."""
