"""What the molecular assays say of the panel, from the rows of their feature tables.

rows of snv, fusion, sv, cnv, expression -> answers to the atoms, expression against housekeeping

Every answer is null where the assay failed or its file could not tell.

References
----------
Eisenberg and Levanon, Trends Genet 2013;29:569: genes of even expression in all tissues.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from assets.biomarkers.questions import AMPLIFIED, DELETED, Atoms, column
from assets.genomics.cnv.features import GAINED_MIN_RATIO, LOST_MAX_RATIO
from assets.genomics.fusion import reader as fusion
from assets.genomics.karyotype.cytogenetics import Region, region
from assets.genomics.panel.rules import Source
from assets.genomics.snv import reader as snv

#: Share of the measured bands of a chromosome from which the whole chromosome counts as changed.
WHOLE_CHROMOSOME_SHARE = 0.8
#: Copy-number ratio of an amplified gene: five copies in a pure diploid tumour.
AMPLIFIED_MIN_RATIO = 2.5
#: Housekeeping genes with a value that an expression ratio needs.
MIN_HOUSEKEEPING = 3
#: Added to counts, TPM and FPKM before the logarithm.
OFFSET = 1.0

SV_JOIN, CNV_BAND, CNV_GENE, CNV_ARM, EXPRESSION = (
    "sv_join", "cnv_band_ratio", "cnv_gene_ratio", "cnv_arm_ratio", "expression",
)  # fmt: skip
EXPRESSION_UNIT = "expression_unit"

#: Names of the positions of an axis -> position.
Positions = Mapping[str, int]


def columns_of(source: Source) -> dict[str, pl.DataType]:
    """Scalar columns that the answers of a source need from its feature table."""
    contract = {Source.SNV: snv.CONTRACT, Source.FUSION: fusion.CONTRACT}.get(source)
    return {f.column: f.dtype for f in contract.features} if contract else {}


def snv_answers(rows: pl.DataFrame, atoms: Atoms) -> pl.DataFrame:
    """Hotspots and mutated genes; ``rows`` as :func:`columns_of`, null where there is no row."""
    names = {feature.name: feature.column for feature in snv.CONTRACT.features}

    def answer(atom: str) -> pl.Expr:
        if atom in atoms.panel.hotspots:
            return pl.col(names[atom])
        return pl.col(names[f"{atom}_variants"]) > 0

    return rows.select(
        answer(atom).alias(column(Source.SNV, atom)) for atom in atoms.all[Source.SNV]
    )


def fusion_answers(rows: pl.DataFrame, atoms: Atoms) -> pl.DataFrame:
    """Fusions and rearranged genes; the parameter as for :func:`snv_answers`."""
    names = {feature.name: feature.column for feature in fusion.CONTRACT.features}
    return rows.select(
        pl.col(names[atom if "::" in atom else f"{atom}_rearranged"]).alias(
            column(Source.FUSION, atom)
        )
        for atom in atoms.all[Source.FUSION]
    )


def sv_positions(atoms: Atoms, pairs: Positions) -> dict[str, list[int]]:
    """Atom -> positions of the joined pairs that affirm it."""
    by_gene: dict[str, list[int]] = {}
    for name, position in pairs.items():
        for gene in set(name.split("::")):
            by_gene.setdefault(gene, []).append(position)
    found = {}
    for atom in atoms.all[Source.SV]:
        if "::" in atom:
            turned = "::".join(reversed(atom.split("::")))
            found[atom] = [pairs[name] for name in (atom, turned) if name in pairs]
        else:
            found[atom] = by_gene.get(atom, [])
    return found


def sv_answers(joins: pl.Series, atoms: Atoms, pairs: Positions) -> pl.DataFrame:
    """Pairs of genes that structural variants join.

    Parameters
    ----------
    joins : (n,) series of vectors over ``pairs``
        Null where not performed; a position behind the end of a vector is zero, NaN is a pair of
        which a record could not be read.
    """
    performed = joins.is_not_null()
    answers = {}
    for atom, positions in sv_positions(atoms, pairs).items():
        values = _gathered(joins, positions, beyond=0.0)
        found = pl.Series((np.nan_to_num(values) > 0).any(axis=1))
        is_known = found | ~pl.Series(np.isnan(values).any(axis=1))
        answers[column(Source.SV, atom)] = _where(found, performed & is_known)
    return pl.DataFrame(answers)


def cnv_answers(  # three vectors and their axes
    bands: pl.Series,
    genes: pl.Series,
    arms: pl.Series,
    atoms: Atoms,
    band_axis: Positions,
    gene_axis: Positions,
    arm_axis: Positions,
) -> pl.DataFrame:
    """Regions and genes by their copy-number ratio; X and Y, whose normal ratio differs, are null.

    Parameters
    ----------
    bands, genes, arms : (n,) series of vectors over the three axes
        Ratios to two copies, NaN where not measured; null where not performed. An arm without a
        ratio though it has measured bands holds a record that could not be read: what is not
        altered in it is unknown.
    """
    regions = {name: _band_region(name) for name in band_axis}
    unread = _unread_arms(bands, arms, regions, band_axis, arm_axis)
    answers = {}
    for atom in atoms.all[Source.CNV]:
        kind, _, gene = atom.partition(" ")
        is_loss = kind == DELETED or atom.startswith("-")
        if kind in (DELETED, AMPLIFIED):
            limit = LOST_MAX_RATIO if is_loss else AMPLIFIED_MIN_RATIO
            values = _gathered(genes, [gene_axis.get(gene, -1)])
            found = _changed(values, limit, is_loss=is_loss, whole=False)
        else:
            where = region(atom[1:])
            positions = [band_axis[band] for band, own in regions.items() if _overlap(own, where)]
            limit = LOST_MAX_RATIO if is_loss else GAINED_MIN_RATIO
            values = _gathered(bands, positions if where.chromosome not in "XY" else [])
            found = _changed(values, limit, is_loss=is_loss, whole=where.is_whole)
            for arm in _arms_of(where):
                found = _where(found, found | ~unread[arm]) if arm in unread else found
        answers[column(Source.CNV, atom)] = found
    return pl.DataFrame(answers)


def _arms_of(where: Region) -> list[str]:
    sides = {"p": where.low < 0, "q": where.high > 0}
    return [f"{where.chromosome}{side}" for side, is_in in sides.items() if is_in]


def _unread_arms(
    bands: pl.Series,
    arms: pl.Series,
    regions: Mapping[str, Region | None],
    band_axis: Positions,
    arm_axis: Positions,
) -> dict[str, pl.Series]:
    """Arm -> in whom a record of it could not be read; arms in which that is nobody left out."""
    found = {}
    for arm, position in arm_axis.items():
        own = [band_axis[band] for band, r in regions.items() if r and _arms_of(r) == [arm]]
        measured = np.isfinite(_gathered(bands, own)).any(axis=1)
        is_unread = measured & np.isnan(_gathered(arms, [position])[:, 0])
        if is_unread.any():
            found[arm] = pl.Series(is_unread)
    return found


def expression_ratios(
    vectors: pl.Series, units: pl.Series, atoms: Atoms, genes: Positions
) -> pl.DataFrame:
    """Expression of the markers against the housekeeping genes of the same sample.

    Parameters
    ----------
    vectors : (n,) series of vectors over the genes
        NaN where a gene has no value.
    units : (n,) series of str
        ``counts``, ``tpm``, ``fpkm`` or ``log2``.

    Returns
    -------
    (n) frame of log2 ratios, a column per marker: log2 of the gene less the mean log2 of at least
    :data:`MIN_HOUSEKEEPING` housekeeping genes.
    """
    is_log = (units == "log2").fill_null(value=False).to_numpy()[:, None]

    def logs(names: Sequence[str]) -> np.ndarray:
        values = _gathered(vectors, [genes.get(name, -1) for name in names])
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(is_log, values, np.log2(values + OFFSET))

    reference = logs(atoms.panel.housekeeping)
    enough = np.isfinite(reference).sum(axis=1) >= MIN_HOUSEKEEPING
    total = np.where(np.isfinite(reference), reference, 0).sum(axis=1)
    mean = total / np.maximum(np.isfinite(reference).sum(axis=1), 1)
    ratios = logs(list(atoms.panel.markers.values())) - mean[:, None]
    ratios[~enough] = np.nan
    return pl.DataFrame(
        {
            name: pl.Series(ratios[:, i], dtype=pl.Float64).fill_nan(None)
            for i, name in enumerate(atoms.panel.markers)
        }
    )


def _gathered(
    vectors: pl.Series, positions: Sequence[int], *, beyond: float = float("nan")
) -> np.ndarray:
    """(n, positions) array of float64; NaN for no vector or a negative position.

    A position behind the end of a vector is ``beyond``.
    """
    values = np.full((len(vectors), len(positions)), np.nan)
    known = [i for i, position in enumerate(positions) if position >= 0]
    if known and len(vectors):
        wanted = pl.Series([[positions[i] for i in known]]).first()
        taken = (
            vectors.to_frame("v")
            .select(pl.col("v").list.gather(pl.lit(wanted, pl.List(pl.Int64)), null_on_oob=True))
            .select(pl.col("v").list.eval(pl.element().fill_null(beyond)))
            .to_series()
        )
        present = taken.is_not_null().to_numpy()
        if present.any():
            rows = taken.drop_nulls().list.to_array(len(known)).to_numpy()
            values[np.ix_(np.flatnonzero(present), np.array(known))] = rows
    return values


def _changed(values: np.ndarray, limit: float, *, is_loss: bool, whole: bool) -> pl.Series:
    """Whether ratios pass a limit: most of them, or any; null where none is measured."""
    measured = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        passes = measured & ((values <= limit) if is_loss else (values >= limit))
    number = measured.sum(axis=1)
    share = passes.sum(axis=1) / np.maximum(number, 1)
    found = pl.Series(share >= WHOLE_CHROMOSOME_SHARE if whole else share > 0)
    return _where(found, pl.Series(number > 0))


def _where(found: pl.Series, known: pl.Series) -> pl.Series:
    """``found`` where known, else null."""
    return pl.select(pl.when(known).then(found)).to_series()


def _band_region(name: str) -> Region | None:
    try:
        return region(name)
    except ValueError:
        return None  # bands of a scaffold, or of the mitochondrion


def _overlap(band: Region | None, where: Region) -> bool:
    return (
        band is not None
        and band.chromosome == where.chromosome
        and band.low < where.high
        and band.high > where.low
    )
