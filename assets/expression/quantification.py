"""Gene expression of one patient: one value per gene, its unit, and totals.

    expression table -> what each row is -> genes and values -> features

Names are those of :mod:`assets.expression.gene_names`. Rows of one gene are summed, which is right
for counts, TPM and FPKM. For logarithms it is not: a table of them that names a gene twice is
refused, and names that only the annotation takes for one gene stay as they are. A line that stands
there twice, word by word, counts once. Normalisation over patients belongs to
``ml/pipelines/preprocessing.py``.
"""

from pathlib import Path

import numpy as np
import polars as pl

from assets.expression.formats import Quantification, read_quantification, repeated_lines
from assets.expression.gene_names import GeneNamer, GeneNames
from assets.expression.layouts import Unit
from oncoframe.contracts import Block, Contract, Feature, Modality
from oncoframe.errors import BadInput, EmptyFile, ImpossibleValue, WrongFormat
from oncoframe.extraction import BlockValues, Extraction, Facts, FeatureValue, named_build
from oncoframe.reference.active import reference_for

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
    code_version="4",
    features=(
        Feature("expression_unit", pl.String(), "1", "unit of the values: counts, tpm, fpkm, log2"),
        Feature("expression_level", pl.String(), "1",
                "what a row of the table is of: gene, or transcript (summed to genes)"),
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

_MISSING = ("", "NA", "N/A", ".", "null")
_namer = GeneNamer()


def extract(path: Path, *, reference_build: str | None, sample: str | None = None) -> Extraction:
    """Features of one expression table.

    Parameters
    ----------
    path
        STAR ReadsPerGene, featureCounts, HTSeq, salmon, RSEM, kallisto, or a table of a gene
        column and a value column whose name says the unit; plain or gzipped.
    reference_build
        Build whose annotation names the genes; GRCh38 if it is not known, because symbols do not
        depend on the build.
    sample
        Column to read, in a table of several samples.

    Notes
    -----
    Reasons in the account: ``not_a_gene`` (rows like ``__no_feature`` and ``N_unmapped`` that count
    the rest, or without a name), ``par_y_copy`` (the Y copy of a pseudoautosomal gene,
    ``_PAR_Y``), ``duplicate_record`` (the same line again), and failed, ``missing_value`` (empty or
    NA).

    Raises
    ------
    EmptyFile, TruncatedFile, WrongFormat, MissingSample
        See :func:`assets.expression.formats.read_quantification`; WrongFormat also if a value is no
        number, a table of logarithms names a gene twice, or a row is of a transcript whose gene is
        not told.
    ImpossibleValue
        If a value is not finite, negative (but for logarithms) or over :data:`MAX_VALUE`, or no
        gene has a read.
    """
    found = read_quantification(path, sample)
    reference = reference_for(reference_build) or reference_for("GRCh38")
    rows = _namer(found.genes, reference)
    if rows.unusable is not None:
        row, what = rows.unusable
        raise WrongFormat(
            what,
            where=f"{path}, line {found.lines[row]}",
            expected="genes",
            hint="Give the table of genes, such as quant.genes.sf, or the GTF of the transcripts "
            "by the setting annotation_grch38.",
        )
    values, is_missing = _values(found, rows.is_gene, path)
    counts = rows.counts
    if not rows.are_written_once:
        counts = counts & ~_is_repeated(found, rows, path)
    left = int(counts.sum())
    if is_missing is not None:
        counts = counts & ~is_missing
    used = int(counts.sum())
    genes = _by_gene(rows, values, counts, found.unit, path)
    filtered = {
        "not_a_gene": len(values) - int(rows.is_gene.sum()),
        "par_y_copy": int(rows.is_gene.sum()) - len(rows.counted),
        "duplicate_record": len(rows.counted) - left,
    }
    numbers = genes["value"].cast(pl.Float32).to_numpy()
    told = named_build(reference_build, reference.build if reference else None, "assumed")
    return Extraction(
        records=len(values),
        used=used,
        filtered={reason: number for reason, number in filtered.items() if number},
        failed={"missing_value": left - used} if left > used else {},
        features=_scalars(genes, found.unit, rows.level, path),
        blocks={"expression": BlockValues(genes["gene"], numbers, checked=True)},
        annotation_version=reference.label if reference else None,
        sample=found.sample,
        facts=Facts(
            (found.tool,) if found.tool else (), *told, measures={"genes": float(len(genes))}
        ),
    )


def _values(
    found: Quantification, is_gene: pl.Series, path: Path
) -> tuple[pl.Series, pl.Series | None]:
    """Numbers of all rows, and which rows have none (None: every row has one)."""
    values = found.values
    lowest, highest = MIN_LOG2 if found.unit is Unit.LOG2 else 0.0, MAX_VALUE[found.unit]
    if _all_between(values, lowest, highest):
        return values, None
    is_missing = values.is_null()
    if values.dtype == pl.String:
        texts = values.str.strip_chars()
        values = texts.cast(pl.Float64, strict=False)
        is_missing = texts.is_null() | texts.is_in(_MISSING)
    unreadable = values.is_null() & ~is_missing
    fits = values.is_between(lowest, highest) & values.is_not_nan()
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
                expected=f"{found.unit} from {lowest:g} to {highest:g}",
            )
    return values, is_missing if is_missing.any() else None


def _all_between(values: pl.Series, lowest: float, highest: float) -> bool:
    """Whether all values are numbers between two, in the time of two passes over them."""
    if values.dtype != pl.Float64 or values.null_count() or not len(values):
        return False
    numbers = values.to_numpy()
    return bool(numbers.min() >= lowest and numbers.max() <= highest)  # NaN is neither


def _is_repeated(found: Quantification, rows: GeneNames, path: Path) -> pl.Series:
    """Whether a row is a line that stands there before, such as those of a file appended to itself.

    Two genes of one symbol are told apart by what else their lines say.
    """
    again = rows.counts & rows.written.is_duplicated()
    at = again.arg_true()
    return pl.Series([False]).new_from_index(0, len(again)).scatter(
        at, repeated_lines(path, found.lines.gather(at))
    )  # fmt: skip


def _by_gene(
    rows: GeneNames, values: pl.Series, kept: pl.Series, unit: Unit, path: Path
) -> pl.DataFrame:
    """Columns ``gene`` (unique) and ``value`` of the rows that are kept."""
    names = rows.counted if kept is rows.counts else rows.names.filter(kept)
    table = pl.DataFrame({"gene": names, "value": values.filter(kept)})
    if not len(table):
        raise EmptyFile("the table has no value of a gene", where=str(path))
    if rows.are_unique or table["gene"].n_unique() == len(table):
        return table
    if unit is not Unit.LOG2:
        return table.group_by("gene", maintain_order=True).agg(pl.col("value").sum())
    given = rows.given.filter(kept)
    if given.n_unique() < len(table):
        raise WrongFormat(
            "a table of logarithms names a gene twice",
            where=str(path),
            hint="Logarithms cannot be summed; give counts, or one row per gene.",
        )
    # A name beside the one it would become is kept apart; the others take their symbol.
    shared = table["gene"].is_duplicated()
    apart = given.zip_with(shared, table["gene"])
    return table.with_columns((apart if apart.n_unique() == len(table) else given).alias("gene"))


def _scalars(genes: pl.DataFrame, unit: Unit, level: str, path: Path) -> dict[str, FeatureValue]:
    values = genes["value"].to_numpy()
    total = float(values.sum())
    if unit is not Unit.LOG2 and total == 0:
        raise ImpossibleValue("no gene has a read", where=str(path))
    return {
        "expression_unit": unit.value,
        "expression_level": level,
        "expression_genes": len(genes),
        "expression_detected_genes": (
            None if unit is Unit.LOG2 else int(np.count_nonzero(values >= DETECTED_FROM))
        ),
        "expression_total_counts": total if unit is Unit.COUNTS else None,
    }
