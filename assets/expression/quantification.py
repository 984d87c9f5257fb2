"""Gene expression of one patient: one value per gene, its unit, and totals.

    expression table -> what each row is -> genes and values -> features

Ensembl identifiers lose their version (``ENSG00000141510.17``), symbols stay as given. Rows of
one gene are summed, which is right for counts, TPM and FPKM; for logarithms it is not, and a table
of them with a gene twice is refused. Normalisation over patients belongs to ``ml/preprocess.py``.
"""

import re
from pathlib import Path

import numpy as np
import polars as pl

from assets.contracts import Block, Contract, Feature, Modality
from assets.errors import BadInput, EmptyFile, ImpossibleValue, WrongFormat
from assets.expression.formats import Quantification, Unit, read_quantification
from assets.extraction import BlockValues, Extraction, FeatureValue

#: Largest value that can be measured: reads of one gene, or parts of a million.
MAX_VALUE = {Unit.COUNTS: 1e10, Unit.TPM: 1.000001e6, Unit.FPKM: 1e9, Unit.LOG2: 64.0}
#: Smallest logarithm: of a count of 0 with the offsets in use.
MIN_LOG2 = -64.0
#: Count, TPM or FPKM from which a gene counts as detected.
DETECTED_FROM = 1.0

CONTRACT = Contract(
    table="expression_features",
    modality=Modality.EXPRESSION,
    description=(
        "Gene expression from RNA: one value per gene in the unit of the file, number of genes, "
        "total counts."
    ),
    code_version="1",
    features=(
        Feature("expression_unit", pl.String(), "1", "unit of the values: counts, tpm, fpkm, log2"),
        Feature("expression_level", pl.String(), "1", "what a value is of: gene or transcript"),
        Feature("expression_genes", pl.Int32(), "1", "genes with a value"),
        Feature("expression_detected_genes", pl.Int32(), "1",
                "genes with at least one count, TPM or FPKM; null for logarithms"),
        Feature("expression_total_counts", pl.Float64(), "reads",
                "counts over all genes; null for other units"),
    ),
    blocks=(
        Block("expression", "gene", "expression_unit", "expression per gene", fill=float("nan")),
    ),
)  # fmt: skip

#: Rows before the genes of STAR ReadsPerGene.
_STAR_SPECIAL = ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")
_MISSING = ("", "NA", "N/A", ".", "null")
_TRANSCRIPT = re.compile(r"(ENS[A-Z]*T\d{11}|NM_|NR_|XM_|XR_)")


def extract(path: Path, *, reference_build: str | None) -> Extraction:  # noqa: ARG001  # the seam
    """Features of one expression table.

    Parameters
    ----------
    path
        STAR ReadsPerGene, featureCounts, HTSeq, salmon, RSEM, kallisto, or a table of a gene
        column and a value column whose name says the unit; plain or gzipped.
    reference_build
        Not used: the tables name genes.

    Notes
    -----
    Reasons in the account: ``not_a_gene`` (rows like ``__no_feature`` and ``N_unmapped`` that count
    the rest), ``par_y_copy`` (the Y copy of a pseudoautosomal gene, ``_PAR_Y``), and failed,
    ``missing_value`` (empty or NA).

    Raises
    ------
    EmptyFile, TruncatedFile, WrongFormat
        See :func:`assets.expression.formats.read_quantification`; WrongFormat also if a value is no
        number or a table of logarithms names a gene twice.
    ImpossibleValue
        If a value is not finite, negative (but for logarithms) or over :data:`MAX_VALUE`, or no
        gene has a read.
    """
    found = read_quantification(path)
    names, is_gene, is_par_copy = _names(found.genes)
    values, is_missing = _values(found, is_gene, path)
    kept = is_gene & ~is_par_copy & ~is_missing
    table = pl.DataFrame({"gene": names, "value": values}).filter(kept)
    genes = _by_gene(table, found.unit, path)
    filtered = {
        "not_a_gene": len(names) - int(is_gene.sum()),
        "par_y_copy": int((is_gene & is_par_copy).sum()),
    }
    failed = {"missing_value": int((is_gene & ~is_par_copy & is_missing).sum())}
    return Extraction(
        records=len(names),
        used=len(table),
        filtered={reason: number for reason, number in filtered.items() if number},
        failed={reason: number for reason, number in failed.items() if number},
        features=_scalars(genes, found.unit, path),
        blocks={
            "expression": BlockValues(genes["gene"], genes["value"].cast(pl.Float32).to_numpy())
        },
    )


def _names(genes: pl.Series) -> tuple[pl.Series, pl.Series, pl.Series]:
    """Names without version, whether a row is a gene, and whether it is a copy on Y."""
    gene = pl.col("gene")
    frame = (
        genes.fill_null("")
        .to_frame()
        .select(
            gene,
            is_gene=~(gene.str.starts_with("__") | gene.is_in(_STAR_SPECIAL) | (gene == "")),
            is_par_copy=gene.str.ends_with("_PAR_Y"),
        )
    )
    names = frame["gene"]
    if names.str.contains(".", literal=True).any():
        names = names.str.replace(r"^(ENS[A-Z]*[GT]\d{11})\.\d+.*$", "$1")
    return names, frame["is_gene"], frame["is_par_copy"]


def _values(found: Quantification, is_gene: pl.Series, path: Path) -> tuple[pl.Series, pl.Series]:
    """Numbers of all rows, and which rows have none."""
    values = found.values.cast(pl.Float64, strict=False)
    is_missing = values.is_null()
    if is_missing.any():
        texts = found.values.str.strip_chars()
        values = texts.cast(pl.Float64, strict=False)
        is_missing = texts.is_null() | texts.is_in(_MISSING)
    unreadable = values.is_null() & ~is_missing
    lowest = MIN_LOG2 if found.unit is Unit.LOG2 else 0.0
    fits = values.is_between(lowest, MAX_VALUE[found.unit]) & values.is_not_nan()
    impossible = ~fits.fill_null(value=True)
    rules: tuple[tuple[pl.Series, type[BadInput], str], ...] = (
        (unreadable & is_gene, WrongFormat, "a value is not a number"),
        (impossible, ImpossibleValue, "a value cannot have been measured"),
    )
    for bad, error, what in rules:
        if bad.any():
            line = found.lines.filter(bad)[0]
            raise error(
                what,
                where=f"{path}, line {line}",
                expected=f"{found.unit} from {lowest:g} to {MAX_VALUE[found.unit]:g}",
            )
    return values, is_missing


def _by_gene(table: pl.DataFrame, unit: Unit, path: Path) -> pl.DataFrame:
    if not len(table):
        raise EmptyFile("the table has no value of a gene", where=str(path))
    if table["gene"].n_unique() == len(table):
        return table
    if unit is Unit.LOG2:
        raise WrongFormat(
            "a table of logarithms names a gene twice",
            where=str(path),
            hint="Logarithms cannot be summed; give counts, or one row per gene.",
        )
    return table.group_by("gene", maintain_order=True).agg(pl.col("value").sum())


def _scalars(genes: pl.DataFrame, unit: Unit, path: Path) -> dict[str, FeatureValue]:
    values = genes["value"].to_numpy()
    total = float(values.sum())
    if unit is not Unit.LOG2 and total == 0:
        raise ImpossibleValue("no gene has a read", where=str(path))
    is_transcript = _TRANSCRIPT.match(genes["gene"][0]) is not None
    return {
        "expression_unit": unit.value,
        "expression_level": "transcript" if is_transcript else "gene",
        "expression_genes": len(genes),
        "expression_detected_genes": (
            None if unit is Unit.LOG2 else int(np.count_nonzero(values >= DETECTED_FROM))
        ),
        "expression_total_counts": total if unit is Unit.COUNTS else None,
    }
