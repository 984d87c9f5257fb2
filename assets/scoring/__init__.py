"""Scores: what the champion of a study says of every patient, and how long it took."""
