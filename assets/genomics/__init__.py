"""Genomics: variant and fusion calls to features."""
