"""Gene and consequence of each allele, from the annotation that a VCF carries.

    header -> layout of the annotation -> INFO -> one gene, one consequence, protein changes

Understood, first that the header declares: Ensembl VEP ``CSQ``, SnpEff ``ANN``, and plain INFO keys
for gene, consequence and protein change. An allele counts for one gene: the entry that VEP picked
(``PICK``), else the most severe consequence; among equals the MANE Select, then the canonical
transcript, then the first. Protein changes are those of all transcripts of that gene, because a
hotspot may be named in another transcript than the one that was picked.

References
----------
Ensembl VEP, "VCF output"; Cingolani et al., "Variant annotations in VCF format", version 1.0.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from assets.genomics.consequences import severity
from assets.genomics.genes import FORMER_SYMBOLS
from assets.genomics.vcf import VcfHeader

#: Subfields of ANN, fixed by its specification.
_ANN_FIELDS = (
    "Allele", "Consequence", "IMPACT", "SYMBOL", "Gene", "Feature_type", "Feature", "BIOTYPE",
    "EXON", "HGVSc", "HGVSp",
)  # fmt: skip
#: INFO keys of a file that is annotated without transcripts, in order of preference.
_GENE_KEYS = ("GENE", "SYMBOL", "Gene", "GENE_SYMBOL", "Hugo_Symbol")
_CONSEQUENCE_KEYS = ("CONSEQUENCE", "Consequence", "EFFECT", "Variant_Classification")
_PROTEIN_KEYS = ("HGVSP", "HGVSp", "HGVSp_Short", "HGVSP_SHORT", "AACHANGE")

#: Columns that :meth:`Annotation.read` adds.
SCHEMA = {"gene": pl.String(), "consequence": pl.String(), "protein_changes": pl.List(pl.String())}


@dataclass(frozen=True)
class Annotation:
    """Where a VCF keeps gene and consequence.

    Parameters
    ----------
    key
        INFO key with entries per transcript (``CSQ``, ``ANN``), or None for plain keys.
    fields
        Column -> position in an entry, or -> INFO key.
    """

    key: str | None
    fields: Mapping[str, int | str]

    def read(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add the annotation of each allele.

        Parameters
        ----------
        frame
            One row per allele: ``info``, ``ref``, ``alt``, ``allele``, ``alleles``.

        Returns
        -------
        ``frame`` with ``gene`` (HGNC symbol or identifier; null between genes), ``consequence``
        (null where the record carries none) and ``protein_changes`` (as annotated).
        """
        if self.key is None:
            return frame.with_columns(**self._plain())
        entries = self._entries(frame)
        best = entries.group_by("row").agg(
            pl.col("gene").first(),
            pl.col("consequence").first(),
            pl.col("protein")
            .filter(pl.col("gene").eq_missing(pl.col("gene").first()))
            .drop_nulls()
            .unique(maintain_order=True)
            .alias("protein_changes"),
        )
        return frame.with_row_index("row").join(best, on="row", how="left", maintain_order="left")

    def _plain(self) -> dict[str, pl.Expr]:
        def value(column: str) -> pl.Expr:
            if column not in self.fields:
                return pl.lit(None, pl.String)
            pattern = rf"(?:^|;){self.fields[column]}=([^;]*)"
            values = pl.col("info").str.extract(pattern).str.split(",")
            # One value stands for all alternates, otherwise there is one for each.
            own = values.list.get(pl.col("allele").cast(pl.Int64) - 1, null_on_oob=True)
            return _filled(pl.when(values.list.len() == 1).then(values.list.first()).otherwise(own))

        return {
            "gene": value("gene").replace(FORMER_SYMBOLS),
            "consequence": value("consequence"),
            "protein_changes": pl.concat_list(value("protein")).list.drop_nulls(),
        }

    def _entries(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Entries of the transcripts, each beside its allele, the best of an allele first."""
        raw = frame.select(
            pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"),
            "ref",
            "alt",
            "allele",
            "alleles",
            pl.col("info").str.extract(rf"(?:^|;){self.key}=([^;]*)").str.split(",").alias("entry"),
        ).explode("entry", empty_as_null=True, keep_nulls=True)
        raw = raw.filter(pl.col("entry").is_not_null()).with_columns(
            pl.col("entry").str.split("|").alias("parts")
        )

        def part(name: str) -> pl.Expr:
            if name not in self.fields:
                return pl.lit(None, pl.String)
            return _filled(pl.col("parts").list.get(int(self.fields[name]), null_on_oob=True))

        entries = raw.filter(_belongs(part("ALLELE_NUM"), part("Allele"))).select(
            "row",
            gene=pl.coalesce(part("SYMBOL"), part("Gene")).replace(FORMER_SYMBOLS),
            consequence=part("Consequence"),
            protein=pl.coalesce(
                part("HGVSp"), _substitution(part("Amino_acids"), part("Protein_position"))
            ),
            # The smaller, the better: picked before severe before MANE before canonical.
            preference=part("PICK").is_null() * 1000
            + part("MANE_SELECT").is_null() * 2
            + (part("CANONICAL") != "YES").fill_null(value=True) * 1,
        )
        entries = entries.filter(pl.col("consequence").is_not_null())
        ranks = {text: 4 * severity(text) for text in entries["consequence"].unique()}
        rank = pl.col("consequence").replace_strict(ranks, default=0, return_dtype=pl.Int32)
        return entries.with_columns(pl.col("preference") + rank).sort(
            "row", "preference", maintain_order=True
        )


def find_annotation(header: VcfHeader) -> Annotation | None:
    """Layout of the annotation that a header declares, or None."""
    if line := header.declares("INFO", "CSQ"):
        match = re.search(r"Format:\s*([^\"]+)", line)
        names = match[1].strip().split("|") if match else []
        fields = {name.strip(): position for position, name in enumerate(names)}
        if "Consequence" in fields and ("SYMBOL" in fields or "Gene" in fields):
            return Annotation("CSQ", fields)
    if header.declares("INFO", "ANN"):
        return Annotation("ANN", {name: i for i, name in enumerate(_ANN_FIELDS)})
    keys = {
        column: next((k for k in names if header.declares("INFO", k)), None)
        for column, names in (
            ("gene", _GENE_KEYS),
            ("consequence", _CONSEQUENCE_KEYS),
            ("protein", _PROTEIN_KEYS),
        )
    }
    if keys["gene"] and keys["consequence"]:
        return Annotation(None, {column: key for column, key in keys.items() if key})
    return None


def _filled(text: pl.Expr) -> pl.Expr:
    return pl.when(~text.is_in(["", "."])).then(text)


def _belongs(number: pl.Expr, allele: pl.Expr) -> pl.Expr:
    """Whether an entry is of the allele beside it.

    VEP writes an allele without the base that all alleles of the record share (``-`` if nothing
    is left), SnpEff as in ALT. With one alternate there is nothing to choose.
    """
    trimmed = pl.col("alt").str.slice(1).replace("", "-")
    by_text = (allele == pl.col("alt")) | (allele == trimmed)
    by_number = number == pl.col("allele").cast(pl.String)
    return (pl.col("alleles") == 1) | by_number.fill_null(by_text)


def _substitution(amino_acids: pl.Expr, position: pl.Expr) -> pl.Expr:
    """Protein change of a missense variant that is annotated without HGVS."""
    change = pl.concat_str(
        pl.lit("p."),
        amino_acids.str.extract(r"^([A-Z*])/[A-Z*]$"),
        position.str.extract(r"^(\d+)(?:/\d+)?$"),
        amino_acids.str.extract(r"^[A-Z*]/([A-Z*])$"),
    )
    return pl.when(amino_acids.is_not_null() & position.is_not_null()).then(change)
