"""At which level a structural change counts: genes if it is short, bands and chromosomes if long.

    places on chromosomes -> bases or events per gene, band, arm, chromosome

Everything here is measured in bases or in breakends, each of which lies in one band, and a band in
one arm of one chromosome; so what is measured adds up from band to arm to chromosome. A gene counts
for the band of its middle.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import polars as pl

from oncoframe.reference.intervals import weighted_bases
from oncoframe.reference.tables import Reference

#: Shortest event that is long: what banding of chromosomes resolves. A new value needs a new code
#: version of the tables (Shaffer et al., ISCN; Silva et al., Eur J Hum Genet 2019;27).
LONG_EVENT_BP = 5_000_000


@dataclass(frozen=True, eq=False)
class Level:
    """The intervals of a level: ``name`` beside ``chrom``, ``start``, ``end`` (genes, bands).

    Parameters
    ----------
    axis
        Dictionary of their names.
    table
        Intervals by chromosome.
    """

    axis: str
    table: pl.DataFrame

    @cached_property
    def places(self) -> "Places":
        """The intervals, by chromosome."""
        return Places(self.table)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Bases of each interval: (intervals,) array of int."""
        return (self.table["end"] - self.table["start"] + 1).to_numpy()


class Places:
    """Places on chromosomes, split by chromosome once for many questions.

    Parameters
    ----------
    table
        ``chrom``, ``start``, ``end`` (1-based, closed).
    """

    def __init__(self, table: pl.DataFrame) -> None:
        parts = table.with_row_index("row").partition_by("chrom", as_dict=True)
        #: Chromosome -> position in the table, start and end of its places.
        self.on = {
            str(chrom): tuple(part[name].to_numpy() for name in ("row", "start", "end"))
            for (chrom,), part in parts.items()
        }


@cache
def gene_level(reference: Reference) -> Level:
    """Genes by symbol."""
    genes = reference.genes.select(pl.col("symbol").alias("name"), "chrom", "start", "end")
    return Level("gene", genes)


@cache
def band_level(reference: Reference) -> Level:
    """Cytogenetic bands (``5q31.2``)."""
    bands = reference.bands.select(pl.col("band").alias("name"), "chrom", "start", "end")
    return Level("band", bands)


@cache
def arm_level(reference: Reference) -> Level:
    """Chromosome arms (``5q``)."""
    return Level("arm", _merged(reference, "arm"))


@cache
def chromosome_level(reference: Reference) -> Level:
    """Whole chromosomes (``5``)."""
    return Level("chromosome", _merged(reference, "chrom"))


def bases_in(level: Level, places: Places, weights: np.ndarray) -> np.ndarray:
    """Weighted bases of each interval that places cover.

    Parameters
    ----------
    weights : (places,) array of float
        What a base of each place counts.

    Returns
    -------
    (intervals,) array of float, in the order of the table. Where places overlap, so do the bases.
    """
    total = np.zeros(len(level.table))
    for chrom, (rows, first, last) in level.places.on.items():
        if chrom in places.on:
            mine, starts, ends = places.on[chrom]
            total[rows] = weighted_bases(starts, ends, weights[mine], first, last)
    return total


def breakends_in(level: Level, places: pl.DataFrame) -> np.ndarray:
    """Number of breakends (``chrom``, ``pos``) in each interval: (intervals,) array of float.

    A breakend beyond the last band or in none counts nowhere.
    """
    points = places.select("chrom", pl.col("pos").alias("start"), pl.col("pos").alias("end"))
    return np.round(bases_in(level, Places(points), np.ones(len(points))))


def _merged(reference: Reference, name: str) -> pl.DataFrame:
    return reference.bands.group_by(name, maintain_order=True).agg(
        pl.col("chrom").first().alias("on"), pl.col("start").min(), pl.col("end").max()
    ).select(pl.col(name).alias("name"), pl.col("on").alias("chrom"), "start", "end")  # fmt: skip
