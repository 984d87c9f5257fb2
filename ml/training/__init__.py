"""Cross-validation of a study, and what it leaves behind."""
