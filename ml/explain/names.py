"""Rows of ``shap.parquet`` that are no feature; apart, so that drawing loads no boosted trees."""

OTHERS, BASE = "(all others)", "(base value)"
