"""TCGA and cBioPortal downloads as a landing zone."""
