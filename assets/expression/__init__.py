"""Expression: RNA quantification to features."""
