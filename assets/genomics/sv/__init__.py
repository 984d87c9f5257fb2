"""Structural variants: VCF to joins, genes and bands that are hit."""
