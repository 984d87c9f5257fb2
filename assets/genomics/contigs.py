"""Contigs of the records of a file: the build that their names tell, and those that count.

names of contigs -> told_build -> build; chromosome_names -> is_chromosome
"""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from oncoframe.errors import WrongFormat
from oncoframe.reference.builds import (
    CHROMOSOMES,
    MITOCHONDRION,
    builds_of_accessions,
    normalise_build,
)


def told_build(path: Path, names: Iterable[str], build: str | None) -> str | None:
    """Build of a file: the known one, else the one whose RefSeq accessions its records have.

    Raises
    ------
    WrongFormat
        If records are on accessions of another build, or of several.
    """
    known = normalise_build(build)
    told = builds_of_accessions(names)
    if len(told) > 1 or (known and told - {known}):
        raise WrongFormat(
            "the records are on contigs of another genome build than the row or header says",
            where=str(path),
            expected=known or "one build",
            got=" and ".join(sorted(told)),
        )
    return known or next(iter(told), None)


def is_chromosome(chrom: str = "chrom", *, mitochondrion: bool = False) -> pl.Expr:
    """Whether a column names a chromosome, or the mitochondrial one if that counts."""
    names = (*CHROMOSOMES, MITOCHONDRION) if mitochondrion else CHROMOSOMES
    return pl.col(chrom).is_in(names).fill_null(value=False)
