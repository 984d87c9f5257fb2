"""Genes and cytogenetic bands of one build, and what lies at a place.

    Reference(build, version, genes, bands) -> genes_at, bands_of, symbols_of

Pure tables; reading annotation files is in ``load.py``, which reference a process uses in
``active.py``. Positions are 1-based and closed, chromosomes without ``chr``.
"""

from dataclasses import dataclass
from functools import cached_property

import polars as pl

from oncoframe.reference.genes import FORMER_SYMBOLS
from oncoframe.reference.intervals import overlapping_pairs

GENE_SCHEMA = pl.Schema(
    {
        "symbol": pl.String(),
        "ensembl_id": pl.String(),
        "chrom": pl.String(),
        "start": pl.Int64(),
        "end": pl.Int64(),
        "strand": pl.String(),
        "biotype": pl.String(),
        "band": pl.String(),
        "arm": pl.String(),
    }
)
BAND_SCHEMA = pl.Schema(
    {
        "chrom": pl.String(),
        "start": pl.Int64(),
        "end": pl.Int64(),
        "band": pl.String(),
        "arm": pl.String(),
        "stain": pl.String(),
    }
)
#: Biotype of an antigen receptor locus (IGH, TRB): many gene segments, one partner of fusions.
LOCUS = "locus"


@dataclass(frozen=True, eq=False)
class Reference:
    """Annotation of one genome build.

    Parameters
    ----------
    build
        ``GRCh37`` or ``GRCh38``.
    version
        Names the annotation, and changes with its content; stands in every row that used it.
    genes
        :data:`GENE_SCHEMA`, by chromosome and start; symbols are unique, an Ensembl id stands for
        a gene without one or with one that a gene before it has. A gene belongs to the band of its
        middle. ``ensembl_id`` has no version; null for a locus.
    bands
        :data:`BAND_SCHEMA`, by chromosome and start; ``band`` as in ``5q31.2``, ``arm`` as in
        ``5q``.
    transcripts
        Transcript -> gene, both as Ensembl ids without version; without rows in the built-in one.
    previous
        Former symbol -> symbol.
    """

    build: str
    version: str
    genes: pl.DataFrame
    bands: pl.DataFrame
    transcripts: pl.DataFrame
    previous: dict[str, str]

    @property
    def label(self) -> str:
        """Build and version, as the rows that used it have them (``GRCh38 panel-1``)."""
        return f"{self.build} {self.version}"

    @cached_property
    def _gene_rows(self) -> dict[str, pl.DataFrame]:
        return _by_chromosome(self.genes)

    @cached_property
    def _band_rows(self) -> dict[str, pl.DataFrame]:
        return _by_chromosome(self.bands)

    def bands_of(self, chrom: str) -> pl.DataFrame:
        """Bands of a chromosome, from the end of its short arm; without rows for other contigs."""
        return self._band_rows.get(chrom, self.bands.clear())

    @cached_property
    def lengths(self) -> dict[str, int]:
        """Chromosome -> length in base pairs: the end of its last band."""
        ends = self.bands.group_by("chrom", maintain_order=True).agg(pl.col("end").max())
        return dict(ends.iter_rows())

    @cached_property
    def strands(self) -> dict[str, str]:
        """Symbol -> strand, ``+`` or ``-``, of every gene whose strand is known."""
        return dict(self.genes.select("symbol", "strand").drop_nulls().iter_rows())

    def genes_at(self, places: pl.DataFrame) -> pl.DataFrame:
        """Genes that overlap each place.

        Parameters
        ----------
        places
            ``chrom`` (without ``chr``), ``start``, ``end``; short places, because every pair is a
            row. See :func:`oncoframe.reference.intervals.covering` for long ones.

        Returns
        -------
        ``row`` (position of the place) and the columns of :attr:`genes`, by row; among the genes
        of a place protein-coding ones first, then by start. A place without a gene has no row.
        """
        found = [self.genes.clear().insert_column(0, pl.Series("row", [], pl.Int64))]
        indexed = places.select("chrom", "start", "end").with_row_index("row")
        for (chrom,), group in indexed.group_by("chrom", maintain_order=True):
            genes = self._gene_rows.get(str(chrom))
            if genes is None:
                continue
            query, interval = overlapping_pairs(
                genes["start"].to_numpy(),
                genes["end"].to_numpy(),
                group["start"].to_numpy(),
                group["end"].to_numpy(),
            )
            at = pl.Series("row", group["row"].to_numpy()[query], pl.Int64)
            found.append(genes[interval].insert_column(0, at))
        return pl.concat(found).sort(
            "row", pl.col("biotype") != "protein_coding", "start", maintain_order=True
        )

    def symbols_of(self, names: pl.Series) -> pl.Series:
        """HGNC symbol of each name, null for one that is not in this annotation.

        Parameters
        ----------
        names
            Symbols, former symbols, or Ensembl gene ids with or without version.
        """
        asked = pl.DataFrame({"name": names.cast(pl.String).str.replace(r"^(ENSG\d+)\.\d+$", "$1")})
        found = asked.join(self._names, on="name", how="left", maintain_order="left")
        return found["symbol"].alias(names.name)

    @cached_property
    def _names(self) -> pl.DataFrame:
        """Every name of a gene (``name``) beside its symbol; a current name before a former one."""
        own = self.genes.select(pl.col("symbol").alias("name"), "symbol")
        ids = self.genes.select(pl.col("ensembl_id").alias("name"), "symbol").drop_nulls()
        former = {**self.previous, **FORMER_SYMBOLS}
        renamed = pl.DataFrame(
            {"name": list(former), "symbol": list(former.values())}, schema=own.schema
        ).filter(pl.col("symbol").is_in(own["symbol"].implode()))
        return pl.concat([own, ids, renamed]).unique("name", keep="first", maintain_order=True)


def with_bands(genes: pl.DataFrame, bands: pl.DataFrame) -> pl.DataFrame:
    """Genes with ``band`` and ``arm`` of their middle; null on a contig without bands.

    Parameters
    ----------
    genes
        ``chrom``, ``start``, ``end`` among others.
    bands
        :data:`BAND_SCHEMA`.
    """
    middle = genes.with_row_index("row").with_columns(
        ((pl.col("start") + pl.col("end")) // 2).alias("middle")
    )
    starts = bands.select("chrom", pl.col("start").alias("middle"), "band", "arm")
    found = middle.sort("middle").join_asof(
        starts.sort("middle"), on="middle", by="chrom", check_sortedness=False
    )
    return found.sort("row").drop("row", "middle")


def _by_chromosome(table: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = table.partition_by("chrom", as_dict=True, maintain_order=True)
    return {str(chrom): part for (chrom,), part in parts.items()}
