"""Features of somatic small variants: the columns and how they follow from the variants.

variants (one row each) -> scalars and gene vectors of one patient
"""

from collections.abc import Collection

import numpy as np
import polars as pl

from assets.genomics.panel.entries import load_panel
from assets.genomics.panel.hotspots import Variant, fits
from oncoframe.contracts import Block, Contract, Feature, Modality
from oncoframe.extraction import BlockValues, FeatureValue
from oncoframe.reference.genes import DRIVER_GENES

#: Genes whose protein changes are kept and looked at.
GENES_WITH_CHANGES = sorted({r.gene for rules in load_panel().hotspots.values() for r in rules})

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
        Feature("snv_annotation", pl.String(), "1",
                "what told the genes: an annotation of the file, or the reference by place",
                is_setting=True),
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
    flags = (
        Feature(name, _FLAG, "1", f"{load_panel().by_id[name].title}, by small variants",
                is_finding=True)
        for name in load_panel().hotspots
    )  # fmt: skip
    return (*totals, *genes, *flags)


CONTRACT = Contract(
    table="snv_features",
    modality=Modality.SNV,
    description=(
        "Somatic single-base variants, insertions and deletions of the tumour sample: burden per "
        "gene, driver genes and hotspots of blood cancers, totals."
    ),
    code_version=f"4-{load_panel().hotspots_digest}",  # the flags change with the panel
    features=_features(),
    blocks=(
        Block("snv_gene_burden", "gene", "1",
              "protein-altering somatic variants per gene", fill=0.0),
        Block("snv_gene_max_vaf", "gene", "1",
              "largest variant allele fraction of them per gene", fill=0.0),
        Block("snv_gene_variants", "gene", "1",
              "somatic variants in or beside the gene, whatever they do to it", fill=0.0),
    ),
)  # fmt: skip


def snv_scalars(
    variants: pl.DataFrame | None,
    *,
    tells_consequences: bool = True,
    failed_genes: Collection[str] = (),
) -> dict[str, FeatureValue]:
    """Scalar features, every name of :data:`CONTRACT`; what told the genes is left null.

    Parameters
    ----------
    variants
        One row per variant that counts: ``gene``, ``vaf``, ``depth``, ``protein_changes``
        and the flags ``is_*``. None if the file cannot tell genes, which makes
        every feature null.
    tells_consequences
        False if only genes are known: what rests on consequences is null.
    failed_genes
        Genes with a record that could not be read: null unless another one shows a variant.
    """
    nothing: dict[str, FeatureValue] = {feature.name: None for feature in CONTRACT.features}
    if variants is None:
        return nothing
    totals: dict[str, FeatureValue] = {
        "snv_variants": len(variants),
        "snv_indels": int(variants["is_indel"].sum()),
        "snv_median_vaf": _number(variants["vaf"].median()),
        "snv_max_vaf": _number(variants["vaf"].max()),
        "snv_median_depth_reads": _number(variants["depth"].median()),
        "snv_transition_share": _number(variants["is_transition"].mean()),
    }
    if not tells_consequences:
        return {**nothing, **totals}
    found = {**nothing, **totals, **_consequence_scalars(variants)}
    return {**found, **_unknown(found, failed_genes)}


def _unknown(found: dict[str, FeatureValue], failed_genes: Collection[str]) -> dict[str, None]:
    """Features of genes with a record that failed, where they would say that nothing is there."""
    of_gene = {name: gene for gene in DRIVER_GENES for name in
               (f"{gene}_variants", f"{gene}_max_vaf")}  # fmt: skip
    of_gene |= {name: rules[0].gene for name, rules in load_panel().hotspots.items()}
    return {
        name: None for name, gene in of_gene.items() if gene in failed_genes and not found[name]
    }


def _consequence_scalars(variants: pl.DataFrame) -> dict[str, FeatureValue]:
    altering = variants.filter("is_protein_altering")
    drivers = _per_gene(altering.filter(pl.col("gene").is_in(DRIVER_GENES)))
    counts = dict(drivers.select("gene", "variants").iter_rows())
    fractions = dict(drivers.select("gene", "max_vaf").iter_rows())
    values: dict[str, FeatureValue] = {
        "snv_protein_altering": len(altering),
        "snv_truncating": int(variants["is_truncating"].sum()),
        "snv_synonymous": int(variants["is_synonymous"].sum()),
        "snv_mutated_genes": altering["gene"].drop_nulls().n_unique(),
        "snv_mutated_driver_genes": len(drivers),
    }
    for gene in DRIVER_GENES:
        values[f"{gene}_variants"] = counts.get(gene, 0)
        values[f"{gene}_max_vaf"] = fractions.get(gene, 0.0)
    return {**values, **_flags(altering)}


def snv_blocks(
    variants: pl.DataFrame | None,
    *,
    tells_consequences: bool = True,
    failed_genes: Collection[str] = (),
) -> dict[str, BlockValues | None]:
    """Vectors over genes, every block of :data:`CONTRACT`; the parameters as in the scalars."""
    blocks: dict[str, BlockValues | None] = {block.name: None for block in CONTRACT.blocks}
    if variants is None:
        return blocks
    everything = _with_unknown(_per_gene(variants), failed_genes)
    blocks["snv_gene_variants"] = BlockValues(everything["gene"], _floats(everything["variants"]))
    if tells_consequences:
        genes = _with_unknown(_per_gene(variants.filter("is_protein_altering")), failed_genes)
        blocks["snv_gene_burden"] = BlockValues(genes["gene"], _floats(genes["variants"]))
        blocks["snv_gene_max_vaf"] = BlockValues(genes["gene"], _floats(genes["max_vaf"]))
    return blocks


def _with_unknown(genes: pl.DataFrame, failed_genes: Collection[str]) -> pl.DataFrame:
    """Rows of :func:`_per_gene` and rows without values for other genes with a failed record."""
    if not failed_genes:
        return genes
    unknown = sorted({*failed_genes}.difference(genes["gene"]))
    rows = pl.DataFrame({"gene": unknown}, schema={"gene": pl.String()})
    return pl.concat([genes, rows], how="diagonal").sort("gene")


def _per_gene(variants: pl.DataFrame) -> pl.DataFrame:
    """Columns ``gene``, ``variants``, ``max_vaf`` (null where no fraction is known), sorted."""
    return (
        variants.drop_nulls("gene")
        .group_by("gene")
        .agg(pl.len().alias("variants"), pl.col("vaf").max().alias("max_vaf"))
        .sort("gene")
    )


def _flags(altering: pl.DataFrame) -> dict[str, bool | None]:
    variants: dict[str, list[Variant]] = {}
    columns = altering.filter(pl.col("gene").is_in(GENES_WITH_CHANGES))
    for gene, changes, vaf in columns.select("gene", "protein_changes", "vaf").iter_rows():
        variants.setdefault(gene, []).append((changes or (), vaf))
    return {
        name: fits(rules, variants.get(rules[0].gene, ()))
        for name, rules in load_panel().hotspots.items()
    }


def _floats(values: pl.Series) -> np.ndarray:
    """(n,) array of float32, NaN where null."""
    return values.cast(pl.Float32).fill_null(float("nan")).to_numpy()


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
