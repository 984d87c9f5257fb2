"""Karyotypes: ISCN text to rearrangements and copies."""
