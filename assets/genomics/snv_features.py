"""Features of somatic small variants: the columns and how they follow from the variants.

variants (one row each) -> scalars and gene vectors of one patient
"""

import numpy as np
import polars as pl

from assets.contracts import Block, Contract, Feature, Modality
from assets.extraction import BlockValues, FeatureValue
from assets.genomics.genes import DRIVER_GENES
from assets.genomics.hotspots import CEBPA_BZIP, HOTSPOTS, hotspots_of, parse_change

#: Smallest fraction of each of two TP53 variants that count as multi-hit (ICC 2022).
MULTI_HIT_MIN_VAF = 0.10
#: Fraction of a single TP53 variant that stands for the loss of the other allele (ICC 2022).
SINGLE_HIT_MIN_VAF = 0.50

#: Genes whose protein changes are kept and looked at.
GENES_WITH_CHANGES = sorted({rule.gene for rule in HOTSPOTS} | {"CEBPA"})

_COUNT, _FLAG, _FRACTION = pl.Int32(), pl.Boolean(), pl.Float64()


def _features() -> tuple[Feature, ...]:
    totals = (
        Feature("snv_variants", _COUNT, "1", "somatic small variants that pass all filters"),
        Feature("snv_protein_altering", _COUNT, "1", "variants that change a protein"),
        Feature("snv_truncating", _COUNT, "1", "variants that truncate or lose a protein"),
        Feature("snv_synonymous", _COUNT, "1", "variants that leave the protein as it is"),
        Feature("snv_indels", _COUNT, "1", "insertions and deletions"),
        Feature("snv_mutated_genes", _COUNT, "1", "genes with a protein-altering variant"),
        Feature("snv_mutated_driver_genes", _COUNT, "1",
                "driver genes of blood cancers with a protein-altering variant"),
        Feature("snv_median_vaf", _FRACTION, "1", "median variant allele fraction"),
        Feature("snv_max_vaf", _FRACTION, "1", "largest variant allele fraction"),
        Feature("snv_median_depth_reads", _FRACTION, "reads", "median depth at the variants"),
        Feature("snv_transition_share", _FRACTION, "1",
                "share of transitions among single-base substitutions"),
    )  # fmt: skip
    genes = (
        feature
        for gene in DRIVER_GENES
        for feature in (
            Feature(f"{gene}_variants", _COUNT, "1", f"protein-altering variants of {gene}"),
            Feature(f"{gene}_max_vaf", _FRACTION, "1",
                    f"largest variant allele fraction of them; 0 without a variant of {gene}"),
        )
    )  # fmt: skip
    hotspots = {rule.name: rule.description for rule in HOTSPOTS}
    flags = (Feature(name, _FLAG, "1", text) for name, text in hotspots.items())
    combined = (
        Feature("CEBPA_double_bZIP", _FLAG, "1",
                "two or more CEBPA variants, at least one of them in the bZIP domain"),
        Feature("TP53_multi_hit", _FLAG, "1",
                "two TP53 variants of 10 % or more, or one of more than 50 % (ICC 2022)"),
    )  # fmt: skip
    return (*totals, *genes, *flags, *combined)


CONTRACT = Contract(
    table="snv_features",
    modality=Modality.SNV,
    description=(
        "Somatic single-base variants, insertions and deletions of the tumour sample: burden per "
        "gene, driver genes and hotspots of blood cancers, totals."
    ),
    code_version="1",
    features=_features(),
    blocks=(
        Block("snv_gene_burden", "gene", "1",
              "protein-altering somatic variants per gene", fill=0.0),
        Block("snv_gene_max_vaf", "gene", "1",
              "largest variant allele fraction of them per gene", fill=0.0),
    ),
)  # fmt: skip


def snv_scalars(variants: pl.DataFrame | None) -> dict[str, FeatureValue]:
    """Scalar features, every name of :data:`CONTRACT`.

    Parameters
    ----------
    variants
        One row per variant that counts: ``gene``, ``vaf``, ``depth``, ``protein_changes``,
        ``inserted_bases`` and the flags ``is_*``. None if the file cannot tell genes, which makes
        every feature null.
    """
    if variants is None:
        return {feature.name: None for feature in CONTRACT.features}
    altering = variants.filter("is_protein_altering")
    drivers = _per_gene(altering).filter(pl.col("gene").is_in(DRIVER_GENES))
    counts = dict(drivers.select("gene", "variants").iter_rows())
    fractions = dict(drivers.select("gene", "max_vaf").iter_rows())
    values: dict[str, FeatureValue] = {
        "snv_variants": len(variants),
        "snv_protein_altering": len(altering),
        "snv_truncating": int(variants["is_truncating"].sum()),
        "snv_synonymous": int(variants["is_synonymous"].sum()),
        "snv_indels": int((variants["inserted_bases"] != 0).sum()),
        "snv_mutated_genes": altering["gene"].drop_nulls().n_unique(),
        "snv_mutated_driver_genes": len(drivers),
        "snv_median_vaf": _number(variants["vaf"].median()),
        "snv_max_vaf": _number(variants["vaf"].max()),
        "snv_median_depth_reads": _number(variants["depth"].median()),
        "snv_transition_share": _number(variants["is_transition"].mean()),
    }
    for gene in DRIVER_GENES:
        values[f"{gene}_variants"] = counts.get(gene, 0)
        values[f"{gene}_max_vaf"] = fractions.get(gene, 0.0)
    return {**values, **_flags(altering)}


def snv_blocks(variants: pl.DataFrame | None) -> dict[str, BlockValues | None]:
    """Vectors over genes, every block of :data:`CONTRACT`; the parameter as in the scalars."""
    if variants is None:
        return {block.name: None for block in CONTRACT.blocks}
    genes = _per_gene(variants.filter("is_protein_altering"))
    return {
        "snv_gene_burden": BlockValues(genes["gene"], _floats(genes["variants"])),
        "snv_gene_max_vaf": BlockValues(genes["gene"], _floats(genes["max_vaf"])),
    }


def _per_gene(altering: pl.DataFrame) -> pl.DataFrame:
    """Columns ``gene``, ``variants``, ``max_vaf`` (null where no fraction is known), sorted."""
    return (
        altering.drop_nulls("gene")
        .group_by("gene")
        .agg(pl.len().alias("variants"), pl.col("vaf").max().alias("max_vaf"))
        .sort("gene")
    )


def _flags(altering: pl.DataFrame) -> dict[str, bool]:
    with_changes = altering.filter(pl.col("gene").is_in(GENES_WITH_CHANGES))
    found: set[str] = set()
    for gene, changes in with_changes.select("gene", "protein_changes").iter_rows():
        found |= hotspots_of(gene, changes or [])
    flags = {rule.name: rule.name in found for rule in HOTSPOTS}
    flags["CEBPA_double_bZIP"] = _double_cebpa(altering.filter(pl.col("gene") == "CEBPA"))
    fractions = altering.filter(pl.col("gene") == "TP53")["vaf"].drop_nulls()
    flags["TP53_multi_hit"] = bool(
        (fractions >= MULTI_HIT_MIN_VAF).sum() > 1 or (fractions > SINGLE_HIT_MIN_VAF).any()
    )
    return flags


def _double_cebpa(variants: pl.DataFrame) -> bool:
    first, last = CEBPA_BZIP
    in_bzip = any(
        change.start <= last and change.end >= first
        for texts in variants["protein_changes"].drop_nulls()
        for text in texts
        if (change := parse_change(text))
    )
    return len(variants) > 1 and in_bzip


def _floats(values: pl.Series) -> np.ndarray:
    """(n,) array of float32, NaN where null."""
    return values.cast(pl.Float32).fill_null(float("nan")).to_numpy()


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
