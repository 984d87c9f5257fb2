"""Gene of each allele by its place, for files that carry no annotation.

    alleles -> places -> reference annotation -> one gene, or none

A place tells the gene but not what happens to its protein, so the consequence says no more than
``gene_variant`` or ``intergenic_variant``, and what rests on consequences stays unknown.
"""

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from oncoframe.reference.builds import chromosome_names
from oncoframe.reference.genes import DRIVER_GENES
from oncoframe.reference.tables import Reference

#: Sequence Ontology terms of an allele within and outside the genes of the annotation.
WITHIN, OUTSIDE = "gene_variant", "intergenic_variant"


@dataclass(frozen=True)
class GeneOverlap:
    """Genes by place, in the manner of :class:`assets.genomics.annotation.alleles.Annotation`."""

    reference: Reference
    #: Value of the feature ``snv_annotation``.
    tool: str = "reference"

    def read(self, frame: pl.DataFrame, changes_of: Collection[str] | None = None) -> pl.DataFrame:  # noqa: ARG002  # the seam
        """Add the gene of each allele.

        Where genes overlap, an allele counts for one: a driver gene, else a protein-coding one,
        else the first on the chromosome.

        Parameters
        ----------
        frame
            One row per allele: ``chrom``, ``pos``, ``ref``.
        changes_of
            Not used: a place tells no protein change.

        Returns
        -------
        ``frame`` with ``gene``, ``consequence`` and ``protein_changes``, which is null.
        """
        places = frame.select(
            chromosome_names(frame["chrom"]).alias("chrom"),
            pl.col("pos").alias("start"),
            (pl.col("pos") + pl.col("ref").str.len_bytes().cast(pl.Int64) - 1).alias("end"),
        )
        found = self.reference.genes_at(places).select(
            pl.col("row").cast(pl.UInt32),
            pl.col("symbol").alias("gene"),
            pl.col("symbol").is_in(DRIVER_GENES).alias("is_driver"),
        )
        best = found.sort("row", ~pl.col("is_driver"), maintain_order=True).unique(
            "row", keep="first", maintain_order=True
        )
        return (
            frame.with_row_index("row")
            .join(best.select("row", "gene"), on="row", how="left", maintain_order="left")
            .with_columns(
                pl.when(pl.col("gene").is_null())
                .then(pl.lit(OUTSIDE))
                .otherwise(pl.lit(WITHIN))
                .alias("consequence"),
                pl.lit(None, pl.List(pl.String)).alias("protein_changes"),
            )
        )
