"""Features of copy numbers: the columns and how they follow from the segments.

segments (places with ratio, copies, loss of heterozygosity) -> scalars and vectors of one patient
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import polars as pl

from assets.genomics.granularity import (
    Level,
    Places,
    arm_level,
    band_level,
    bases_in,
    chromosome_level,
    gene_level,
)
from oncoframe.contracts import Block, Contract, Feature, Modality
from oncoframe.extraction import BlockValues, FeatureValue
from oncoframe.reference.builds import CHROMOSOMES
from oncoframe.reference.tables import Reference

#: Ratio up to which a segment is lost, and from which it is gained: log2 of -0.25 and 0.2, a single
#: copy in 32 % and 30 % of the cells (CNVkit documentation, "call").
LOST_MAX_RATIO, GAINED_MIN_RATIO = 2.0**-0.25, 2.0**0.2
#: Share of the measured bases of a chromosome that make it lost or gained as a whole.
WHOLE_CHROMOSOME_SHARE = 0.8
#: Copies of the rarer allele below which heterozygosity is lost (PURPLE: half a copy).
LOH_MAX_MINOR_COPIES = 0.5
#: Share and bases of an interval that records may cover that could not be read; with more the
#: interval is unknown. A tenth is too little to make a normal interval look lost or gained.
MAX_FAILED_SHARE, MAX_FAILED_BP = 0.1, 1_000_000

AUTOSOMES = CHROMOSOMES[:22]
#: Arms with genes; short arms of acrocentric chromosomes are not measured.
ARMS = tuple(
    f"{chromosome}{arm}"
    for chromosome in CHROMOSOMES
    for arm in "pq"
    if f"{chromosome}{arm}" not in ("13p", "14p", "15p", "21p", "22p")
)

_COUNT, _NUMBER = pl.Int32(), pl.Float64()
_NAN = float("nan")


def _features() -> tuple[Feature, ...]:
    totals = (
        Feature("cnv_segments", _COUNT, "1", "segments (or genes, in a table of genes)"),
        Feature("cnv_altered_fraction", _NUMBER, "1",
                "share of the measured bases of the autosomes that are lost or gained"),
        Feature("cnv_lost_fraction", _NUMBER, "1", "share of them that are lost"),
        Feature("cnv_gained_fraction", _NUMBER, "1", "share of them that are gained"),
        Feature("cnv_loh_fraction", _NUMBER, "1",
                "share of them without heterozygosity; null if the caller does not tell"),
        Feature("cnv_ploidy", _NUMBER, "1",
                "mean copies of a tumour cell: as the file gives it, else of the segments"),
        Feature("cnv_purity", _NUMBER, "1", "share of tumour cells, if the file gives it"),
        Feature("cnv_lost_chromosomes", _COUNT, "1", "autosomes lost as a whole"),
        Feature("cnv_gained_chromosomes", _COUNT, "1", "autosomes gained as a whole"),
    )  # fmt: skip
    arms = (
        feature
        for arm in ARMS
        for feature in (
            Feature(f"cnv_{arm}_ratio", _NUMBER, "1", f"mean copy-number ratio of {arm}"),
            Feature(f"cnv_{arm}_lost", _NUMBER, "1", f"share of the bases of {arm} that are lost"),
            Feature(f"cnv_{arm}_gained", _NUMBER, "1",
                    f"share of the bases of {arm} that are gained"),
        )
    )  # fmt: skip
    return (*totals, *arms)


def _blocks() -> tuple[Block, ...]:
    levels = {"gene": "of the gene", "band": "of the band", "arm": "of the arm"}
    return tuple(
        block
        for axis, of in levels.items()
        for block in (
            Block(f"cnv_{axis}_ratio", axis, "1", f"mean copy-number ratio {of}", fill=_NAN),
            Block(f"cnv_{axis}_copies", axis, "1", f"mean copies {of} per tumour cell", fill=_NAN),
            Block(f"cnv_{axis}_loh", axis, "1",
                  f"share of the bases {of} without heterozygosity", fill=_NAN),
        )
    )  # fmt: skip


CONTRACT = Contract(
    table="cnv_features",
    modality=Modality.CNV,
    description=(
        "Copy numbers of the tumour: ratio to a normal sample, copies and loss of heterozygosity "
        "per gene, band and chromosome arm; altered share of the genome, ploidy, purity."
    ),
    code_version="3",
    features=_features(),
    blocks=_blocks(),
)


@dataclass(frozen=True, eq=False)
class Profile:
    """Copy numbers along the genome.

    Parameters
    ----------
    segments
        ``chrom``, ``start``, ``end``, ``ratio``, ``copies``, ``minor``; ratio is never null.
    is_complete
        True where what no segment covers is not measured; False where it is normal.
    failed
        ``chrom``, ``start``, ``end`` of records that could not be read: of what they cover nobody
        knows whether it is normal.
    """

    segments: pl.DataFrame
    is_complete: bool
    failed: pl.DataFrame | None = None

    @cached_property
    def places(self) -> Places:
        """The segments, by chromosome."""
        return Places(self.segments)

    def sums(self, level: Level, value: np.ndarray, normal: float) -> tuple[np.ndarray, np.ndarray]:
        """Sum of a value over the measured bases of each interval, and the number of those.

        Parameters
        ----------
        value : (segments,) array of float
            NaN where a segment does not have it.
        normal
            Value of bases that no segment covers, where the profile is of events.

        Returns
        -------
        total, bases : (intervals,) arrays of float
            They add up over intervals that touch: from bands to arms to chromosomes.
        """
        known = np.isfinite(value)
        total = bases_in(level, self.places, np.where(known, value, 0.0))
        bases = bases_in(level, self.places, known.astype(float))
        if not self.is_complete:
            # A segment that lacks the value is no reason to take its bases for normal.
            rest = level.lengths - bases_in(level, self.places, np.ones(len(known)))
            rest = rest - self._failed_bases(level)
            total, bases = total + normal * np.maximum(rest, 0), bases + np.maximum(rest, 0)
        return total, bases

    def mean(self, level: Level, value: np.ndarray, normal: float) -> np.ndarray:
        """Mean of a value over the measured bases of each interval, NaN where there are none.

        Parameters are those of :meth:`sums`.
        """
        mean = _ratio(*self.sums(level, value, normal))
        mean[self.is_unknown(level)] = _NAN
        return mean

    def is_unknown(self, level: Level) -> np.ndarray:
        """Whether records that could not be read cover so much of an interval that it may differ.

        Returns
        -------
        (intervals,) array of bool
        """
        most = np.minimum(MAX_FAILED_SHARE * level.lengths, MAX_FAILED_BP)
        covered: np.ndarray = self._failed_bases(level) > most
        return covered

    def _failed_bases(self, level: Level) -> np.ndarray:
        if self.failed is None or self.failed.is_empty():
            return np.zeros(len(level.table))
        return bases_in(level, Places(self.failed), np.ones(len(self.failed)))

    def overall(self, level: Level, value: np.ndarray, normal: float) -> float | None:
        """Mean over the measured bases of all intervals together, None where one is unknown."""
        if self.is_unknown(level).any():
            return None
        total, bases = self.sums(level, value, normal)
        [mean] = _ratio(total.sum(keepdims=True), bases.sum(keepdims=True))
        return float(mean) if np.isfinite(mean) else None

    def values(self) -> dict[str, tuple[np.ndarray, float]]:
        """What is measured: name -> (segments,) array with NaN for unknown, and normal value."""
        minor = self.segments["minor"].to_numpy().astype(float)
        loh = np.where(np.isfinite(minor), minor < LOH_MAX_MINOR_COPIES, _NAN)
        return {
            "ratio": (self.segments["ratio"].to_numpy().astype(float), 1.0),
            "copies": (self.segments["copies"].to_numpy().astype(float), 2.0),
            "loh": (loh.astype(float), 0.0),
        }


def cnv_blocks(
    profile: Profile, reference: Reference | None, genes: pl.DataFrame | None
) -> dict[str, BlockValues | None]:
    """Vectors over genes, bands and arms, every block of :data:`CONTRACT`.

    Parameters
    ----------
    reference
        None if the build is unknown: no place can be named then.
    genes
        ``name``, ``ratio``, ``copies``, ``minor`` of a table of genes, which then are the genes.
    """
    found: dict[str, BlockValues | None] = {block.name: None for block in CONTRACT.blocks}
    values = profile.values()
    if reference is not None:
        levels = [band_level(reference), arm_level(reference)]
        if genes is None:
            levels.append(gene_level(reference))
        for level in levels:
            for name, (value, normal) in values.items():
                # A caller that never tells copies or heterozygosity does not say normal either.
                if name == "ratio" or np.isfinite(value).any():
                    found[f"cnv_{level.axis}_{name}"] = _block(
                        level.table["name"], profile.mean(level, value, normal)
                    )
    if genes is not None:
        for name, (value, _) in Profile(genes, is_complete=True).values().items():
            if np.isfinite(value).any():
                found[f"cnv_gene_{name}"] = _block(genes["name"], value)
    return found


def _block(names: pl.Series, values: np.ndarray) -> BlockValues:
    known = np.isfinite(values)
    return BlockValues(names.filter(pl.Series(known)), values[known].astype(np.float32))


def _ratio(total: np.ndarray, bases: np.ndarray) -> np.ndarray:
    mean = np.full(len(total), _NAN)
    measured = bases > 0.5  # noqa: PLR2004  # less than a base is rounding
    mean[measured] = total[measured] / bases[measured]
    return mean


def cnv_scalars(
    profile: Profile, reference: Reference | None, *, purity: float | None, ploidy: float | None
) -> dict[str, FeatureValue]:
    """Scalar features, every name of :data:`CONTRACT`.

    Parameters
    ----------
    reference
        None if the build is unknown; what arms and chromosomes need is null then.
    purity, ploidy
        As the file gives them.
    """
    found: dict[str, FeatureValue] = {feature.name: None for feature in CONTRACT.features}
    segments = profile.segments
    found |= {"cnv_segments": len(segments), "cnv_purity": purity, "cnv_ploidy": ploidy}
    if reference is None:
        return found
    measured = profile.values()
    ratio, loh, copies = (measured[name][0] for name in ("ratio", "loh", "copies"))
    states = {"lost": ratio <= LOST_MAX_RATIO, "gained": ratio >= GAINED_MIN_RATIO}
    autosomes = _autosomes(reference)
    for state, holds in states.items():
        share = profile.mean(autosomes, holds.astype(float), 0.0)
        whole = np.nan_to_num(share) >= WHOLE_CHROMOSOME_SHARE
        if not profile.is_unknown(autosomes).any():
            found[f"cnv_{state}_chromosomes"] = int(whole.sum())
        found[f"cnv_{state}_fraction"] = profile.overall(autosomes, holds.astype(float), 0.0)
    altered = (states["lost"] | states["gained"]).astype(float)
    found["cnv_altered_fraction"] = profile.overall(autosomes, altered, 0.0)
    if np.isfinite(loh).any():
        found["cnv_loh_fraction"] = profile.overall(autosomes, loh, 0.0)
    if ploidy is None and np.isfinite(copies).any():
        found["cnv_ploidy"] = profile.overall(autosomes, copies, 2.0)
    return found | _arms(profile, reference, ratio, states)


def _arms(
    profile: Profile, reference: Reference, ratio: np.ndarray, states: dict[str, np.ndarray]
) -> dict[str, FeatureValue]:
    arms = arm_level(reference)
    of_arm = {
        "ratio": profile.mean(arms, ratio, 1.0),
        **{state: profile.mean(arms, holds.astype(float), 0.0) for state, holds in states.items()},
    }
    return {
        f"cnv_{arm}_{name}": float(values[at]) if np.isfinite(values[at]) else None
        for at, arm in enumerate(arms.table["name"])
        if arm in ARMS
        for name, values in of_arm.items()
    }


@cache
def _autosomes(reference: Reference) -> Level:
    level = chromosome_level(reference)
    return Level(level.axis, level.table.filter(pl.col("name").is_in(AUTOSOMES)))
