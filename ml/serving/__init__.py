"""A model as it is stored and asked."""
