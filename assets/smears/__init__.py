"""Marrow smears: fields of view of a stained smear, their quality and their cells."""
