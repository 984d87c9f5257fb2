"""Recipes: sklearn pipelines from a design matrix to class probabilities."""
