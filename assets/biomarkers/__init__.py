"""Biomarkers: the panel, evaluated per patient over all sources."""
