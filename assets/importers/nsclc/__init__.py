"""NSCLC Radiogenomics as a landing zone."""
