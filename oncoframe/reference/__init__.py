"""Reference: genome builds, genes and cytogenetic bands, and which of them overlap a place."""
