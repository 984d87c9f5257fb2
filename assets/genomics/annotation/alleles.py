"""Gene and consequence of each allele, from the annotation that a VCF carries.

    layout of the annotation -> INFO -> one gene, one consequence, protein changes

The layouts are in :mod:`assets.genomics.annotation.layouts`. An allele counts for one gene: the
entry that VEP picked (``PICK``), else the most severe consequence; among equals the MANE Select,
then the canonical transcript, then the first. Protein changes are those of all transcripts of that
gene, because a hotspot may be named in another transcript than the one that was picked.

References
----------
Ensembl VEP, "VCF output"; Cingolani et al., "Variant annotations in VCF format", version 1.0;
BCFtools/csq howto; GATK Funcotator tutorial; ANNOVAR documentation, "table_annovar".
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from assets.genomics.annotation.consequences import is_intergenic, severity
from assets.genomics.vcf.records import info_value
from oncoframe.reference.genes import FORMER_SYMBOLS, NO_NAMES

#: Longest name of a gene, and of a protein change (an internal tandem duplication of 100 residues
#: in three-letter code); what is longer is neither.
MAX_GENE_BYTES, MAX_CHANGE_BYTES = 64, 1000
#: Written name of a gene -> the one of today, None for what is no name.
_CURRENT: dict[str, str | None] = {**FORMER_SYMBOLS, **dict.fromkeys(NO_NAMES)}

#: Gives a subfield of an entry by its name, null where it is empty.
Part = Callable[[str], pl.Expr]

#: Columns that :meth:`Annotation.read` adds.
SCHEMA = {"gene": pl.String(), "consequence": pl.String(), "protein_changes": pl.List(pl.String())}


class Tool(StrEnum):
    """What wrote the annotation; the values of the feature ``snv_annotation``."""

    VEP = "vep"
    SNPEFF = "snpeff"
    BCFTOOLS = "bcftools_csq"
    FUNCOTATOR = "funcotator"
    ANNOVAR = "annovar"
    PLAIN = "info_keys"


@dataclass(frozen=True)
class Annotation:
    """Where a VCF keeps gene and consequence.

    Parameters
    ----------
    tool
        What wrote it, which tells how the entries of several alternates are told apart.
    key
        INFO key with entries per transcript (``CSQ``, ``ANN``), or None for plain keys.
    fields
        Column -> position in an entry, or -> INFO key.
    """

    tool: Tool
    key: str | None
    fields: Mapping[str, int | str]

    def read(self, frame: pl.DataFrame, changes_of: Collection[str] | None = None) -> pl.DataFrame:
        """Add the annotation of each allele.

        Parameters
        ----------
        frame
            One row per allele: ``info``, ``pos``, ``ref``, ``alt``, ``allele``, ``alleles``.
        changes_of
            Genes whose protein changes are wanted; None for all. Few of them save much time.

        Returns
        -------
        ``frame`` with ``gene`` (HGNC symbol or identifier; null between genes), ``consequence``
        (null where the record carries none) and ``protein_changes`` (as annotated).
        """
        if self.key is None:
            return _outside_genes(frame.with_columns(**self._plain()))
        entries = self._entries(frame)
        best = entries.unique("row", keep="first", maintain_order=True).select(
            "row", "gene", "consequence"
        )
        wanted = entries.filter(pl.col("protein").is_not_null() & pl.col("gene").is_not_null())
        if changes_of is not None:
            wanted = wanted.filter(pl.col("gene").is_in(list(changes_of)))
        changes = (
            wanted.join(best.select("row", "gene"), on=["row", "gene"], how="semi")
            .group_by("row")
            .agg(pl.col("protein").unique(maintain_order=True).alias("protein_changes"))
        )
        return (
            frame.with_row_index("row")
            .join(best, on="row", how="left", maintain_order="left")
            .join(changes, on="row", how="left", maintain_order="left")
        )

    def _plain(self) -> dict[str, pl.Expr]:
        """Gene, consequence and protein changes from INFO keys of their own."""
        nothing = pl.lit(None, pl.String)
        values = {column: self._plain_value(str(key)) for column, key in self.fields.items()}
        consequence = pl.coalesce(
            values.get("consequence", nothing), values.get("region", nothing), nothing
        )
        if self.tool is Tool.ANNOVAR:
            protein = _annovar_value(str(self.fields.get("protein", ""))).str.split(",")
        else:
            protein = pl.concat_list(values.get("protein", nothing))
        return {
            "gene": _gene(values["gene"]),
            "consequence": consequence,
            "protein_changes": protein.list.drop_nulls(),
        }

    def _plain_value(self, key: str) -> pl.Expr:
        if self.tool is Tool.ANNOVAR:
            # Several genes or regions of one variant, with the escape that ANNOVAR writes for ";".
            return _filled(_annovar_value(key).str.split("\\x3b").list.first())
        # One value stands for all alternates, otherwise there is one for each.
        values = info_value(key).str.split(",")
        own = values.list.get(pl.col("allele").cast(pl.Int64) - 1, null_on_oob=True)
        return _filled(pl.when(values.list.len() == 1).then(values.list.first()).otherwise(own))

    def _entries(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Entries of the transcripts, each beside its allele, the best of an allele first."""
        alleles = frame.select(
            name for name in ("pos", "ref", "alt", "allele", "alleles") if name in frame.columns
        )
        entry = info_value(str(self.key)).str.split(",")
        if self.tool is Tool.FUNCOTATOR:
            entry = _funcotations(entry)
        raw = frame.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"), entry=entry)
        raw = raw.explode("entry", empty_as_null=True, keep_nulls=True)
        raw = raw.filter(pl.col("entry").str.len_bytes() > 0)
        raw = raw.hstack(alleles[raw["row"]]).with_columns(
            pl.col("entry").str.split("|").alias("parts")
        )
        belongs = _BELONGS.get(self.tool)
        if belongs is not None:
            raw = raw.filter(belongs(self._part))
        part = self._part
        entries = raw.select(
            "row",
            gene=_gene(pl.coalesce(part("SYMBOL"), part("Gene"))),
            consequence=part("Consequence"),
            protein=_short(
                pl.coalesce(
                    part("HGVSp"), _substitution(part("Amino_acids"), part("Protein_position"))
                ),
                MAX_CHANGE_BYTES,
            ),
            # The smaller, the better: picked before severe before MANE before canonical.
            preference=part("PICK").is_null() * 1000
            + part("MANE_SELECT").is_null() * 2
            + (part("CANONICAL") != "YES").fill_null(value=True) * 1,
        )
        entries = _outside_genes(entries.filter(pl.col("consequence").is_not_null()))
        ranks = {text: 4 * severity(text) for text in entries["consequence"].unique()}
        rank = pl.col("consequence").replace_strict(ranks, default=0, return_dtype=pl.Int32)
        return entries.with_columns(pl.col("preference") + rank).sort(
            "row", "preference", maintain_order=True
        )

    def _part(self, name: str) -> pl.Expr:
        if name not in self.fields:
            return pl.lit(None, pl.String)
        return _filled(pl.col("parts").list.get(int(self.fields[name]), null_on_oob=True))


def _outside_genes(entries: pl.DataFrame) -> pl.DataFrame:
    """Entries without the gene that a tool names beside a place between genes.

    SnpEff writes both neighbours (``A-B``), ANNOVAR both (``A;B``), Funcotator ``Unknown``.
    """
    written = entries["consequence"].unique().drop_nulls()
    between = [text for text in written if is_intergenic(text)]
    if not between:
        return entries
    is_within = ~pl.col("consequence").is_in(between).fill_null(value=False)
    return entries.with_columns(pl.when(is_within).then("gene").alias("gene"))


def _filled(text: pl.Expr) -> pl.Expr:
    return pl.when(~text.is_in(["", "."])).then(text)


def _short(text: pl.Expr, most: int) -> pl.Expr:
    return pl.when(text.str.len_bytes() <= most).then(text)


def _gene(name: pl.Expr) -> pl.Expr:
    return _short(name, MAX_GENE_BYTES).replace(_CURRENT)


def _by_allele(part: Part) -> pl.Expr:
    """Whether an entry is of the allele beside it.

    VEP writes an allele without the base that all alleles of the record share (``-`` if nothing
    is left), SnpEff as in ALT. With one alternate there is nothing to choose.
    """
    number, allele = part("ALLELE_NUM"), part("Allele")
    trimmed = pl.col("alt").str.slice(1).replace("", "-")
    by_text = (allele == pl.col("alt")) | (allele == trimmed)
    by_number = number == pl.col("allele").cast(pl.String)
    return (pl.col("alleles") == 1) | by_number.fill_null(by_text)


def _by_dna_change(part: Part) -> pl.Expr:
    """BCFtools names the change (``943296C>T``); without one the entry is of every alternate."""
    own = pl.concat_str(pl.col("pos").cast(pl.String), pl.col("ref"), pl.lit(">"), pl.col("alt"))
    return (pl.col("alleles") == 1) | part("dna_change").str.contains(own, literal=True).fill_null(
        value=True
    )


_BELONGS = {Tool.VEP: _by_allele, Tool.SNPEFF: _by_allele, Tool.BCFTOOLS: _by_dna_change}


def _funcotations(entry: pl.Expr) -> pl.Expr:
    """Entries of Funcotator: ``[gene|...]#[gene|...]`` per alternate, in the order of ALT."""
    own = entry.list.get(pl.col("allele").cast(pl.Int64) - 1, null_on_oob=True)
    return own.str.strip_chars("[]").str.replace_all("]#[", "#", literal=True).str.split("#")


def _annovar_value(key: str) -> pl.Expr:
    """Value of a key in the block of the allele; ANNOVAR writes one block per alternate."""
    blocks = pl.col("info").str.split(";ALLELE_END")
    own = blocks.list.get(pl.col("allele").cast(pl.Int64) - 1, null_on_oob=True)
    whole = pl.when(pl.col("alleles") == 1).then(pl.col("info")).otherwise(own)
    return info_value(key, of=whole)


def _substitution(amino_acids: pl.Expr, position: pl.Expr) -> pl.Expr:
    """Protein change of a missense variant that is annotated without HGVS."""
    change = pl.concat_str(
        pl.lit("p."),
        amino_acids.str.extract(r"^([A-Z*])/[A-Z*]$"),
        position.str.extract(r"^(\d+)(?:/\d+)?$"),
        amino_acids.str.extract(r"^[A-Z*]/([A-Z*])$"),
    )
    return pl.when(amino_acids.is_not_null() & position.is_not_null()).then(change)
