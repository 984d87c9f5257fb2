"""Synthetic marrow smears: fields of view with planted cells, and what was planted."""
