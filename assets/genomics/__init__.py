"""Genomics: small variants, structural variants, copy numbers and fusions to features."""
