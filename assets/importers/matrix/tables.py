"""Expression matrices: which axis holds the genes, what unit the values have, and the values.

    file -> read_matrix -> names of both axes, numbers -> genes x patients, unit

Values are taken as they are; nothing is normalised, summed or filled.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import polars as pl

from assets.expression.layouts import Unit
from assets.expression.quantification import MAX_VALUE, MIN_LOG2
from assets.importers.tables import NOTHING, open_table, split_fields
from assets.landing.samplesheet import PATIENT_ID
from oncoframe.errors import EmptyFile, ImpossibleValue, WrongFormat
from oncoframe.reference.genes import DRIVER_GENES, FORMER_SYMBOLS


class Axis(StrEnum):
    """Where a matrix has its genes."""

    ROWS = "rows"
    COLUMNS = "columns"


#: Names of the column of genes, in order of preference, in lower case.
_GENE_NAMES = ("hugo_symbol", "gene_symbol", "symbol", "gene_name", "gene", "genes", "gene_id",
               "ensembl_id", "ensembl_gene_id", "ensembl", "id_ref", "name")  # fmt: skip
_PATIENT_NAMES = ("patient", "patient_id", "patientid", "case", "case_id", "sample", "sample_id",
                  "samples", "subject", "subject_id", "barcode", "individual")  # fmt: skip
#: Columns that describe a gene and are no patient.
_ATTRIBUTES = frozenset({
    *_GENE_NAMES, "entrez_gene_id", "entrezgene", "entrez_id", "gene_type", "gene_biotype",
    "biotype", "description", "chr", "chrom", "chromosome", "start", "end", "strand", "length",
    "geneid", "display_label", "cytoband", "composite.element.ref",
})  # fmt: skip
_ENSEMBL = re.compile(r"ENS[A-Z]*[GT]\d{11}(\.\d+)?$")
_KNOWN_GENES = frozenset({*DRIVER_GENES, *FORMER_SYMBOLS, "ACTB", "GAPDH", "B2M", "CD19", "CD34"})
#: What the name of a file says about its unit, first that fits.
_UNITS = (
    (re.compile(r"log_?2|log_?(cpm|tpm|[fr]pkm)|(^|[_.-])vst([_.-]|$)", re.IGNORECASE), Unit.LOG2),
    (re.compile(r"(^|[_.-])tpms?([_.-]|$)", re.IGNORECASE), Unit.TPM),
    (re.compile(r"(^|[_.-])[fr]pkm([_.-]|$)", re.IGNORECASE), Unit.FPKM),
    # Expected counts of RSEM, which need not be whole numbers.
    (re.compile(r"(^|[_.-])rsem([_.-]|$)", re.IGNORECASE), Unit.COUNTS),
)


@dataclass(frozen=True)
class Matrix:
    """Numbers with a name for every row and column.

    Parameters
    ----------
    file
        Name of the file, for messages.
    rows, columns
        Names as written.
    values : (rows, columns) array of float
        NaN where nothing is known.
    corner
        Name of the column of row names, in lower case.
    texts
        Columns that hold no numbers -> their values.
    """

    file: str
    rows: list[str]
    columns: list[str]
    values: np.ndarray
    corner: str
    texts: dict[str, list[str]]


def read_matrix(path: Path, *, text: Sequence[str] = ()) -> Matrix:
    """Matrix of a table with a header and a column of row names.

    Parameters
    ----------
    text
        Columns that are words even if they look like numbers.

    Raises
    ------
    EmptyFile, FileMissing, TruncatedFile, WrongFormat, Unavailable
        As :func:`assets.importers.tables.open_table`; WrongFormat also if a value is no
        number or a column is there twice, EmptyFile if no column holds numbers.
    ImpossibleValue
        If a value is infinite.
    """
    table = open_table(path)
    lower = [name.strip().lower() for name in table.names]
    ids = next((lower.index(name) for name in _GENE_NAMES if name in lower), 0)
    rows: list[str] = []
    parts: list[np.ndarray] = []
    texts: dict[int, list[str]] = {}
    numeric: list[int] | None = None
    for line, block in table.blocks:
        fields = pl.Series(split_fields(block, table.separator))
        grid = fields.to_numpy().reshape(-1, len(table.names))
        if numeric is None:
            words = {
                *_text_columns(grid),
                *(table.names.index(t) for t in text if t in table.names),
            }
            texts = {i: [] for i in sorted(words) if i != ids and lower[i] not in _ATTRIBUTES}
            numeric = [i for i, name in enumerate(lower)
                       if i != ids and i not in texts and name not in _ATTRIBUTES]  # fmt: skip
        rows += grid[:, ids].tolist()
        for column in texts:
            texts[column] += grid[:, column].tolist()
        parts.append(_numbers(grid[:, numeric], path.name, line))
    columns = [table.names[i].strip() for i in numeric or ()]
    if not columns:
        raise EmptyFile("no column of the table holds numbers", where=path.name)
    if len(set(columns)) < len(columns):
        raise WrongFormat("two columns of the matrix have one name", where=path.name)
    return Matrix(path.name, [row.strip() for row in rows], columns, np.concatenate(parts),
                  lower[ids], {table.names[i]: held for i, held in texts.items()})  # fmt: skip


def _text_columns(grid: np.ndarray) -> list[int]:
    """Columns of which no value is a number, and some is known."""
    found = []
    for column, values in enumerate(grid.T):
        told = [value for value in values if value.strip().lower() not in NOTHING]
        if (
            told
            and pl.Series(told).str.strip_chars().cast(pl.Float64, strict=False).is_null().all()
        ):
            found.append(column)
    return found


def _numbers(grid: np.ndarray, file: str, line: int) -> np.ndarray:
    fields = pl.Series(grid.ravel(), dtype=pl.String)
    values = fields.cast(pl.Float64, strict=False)
    if values.null_count():
        trimmed = fields.str.strip_chars()
        values = trimmed.cast(pl.Float64, strict=False)
        lost = values.is_null() & ~trimmed.str.to_lowercase().is_in(NOTHING)
        if lost.any():
            row = int(lost.arg_max() or 0) // grid.shape[1]
            raise WrongFormat(
                "a value of the matrix is no number", where=f"{file}, line {line + row}"
            )
    if values.is_infinite().any():
        raise ImpossibleValue("a value of the matrix is infinite", where=file)
    return values.fill_null(float("nan")).to_numpy().reshape(grid.shape)


def genes_axis(matrix: Matrix, patients: Collection[str]) -> Axis:
    """Axis of the genes: told by the patients of another table, by gene names, by the header.

    Parameters
    ----------
    patients
        Patients that another table names; may be empty.

    Raises
    ------
    WrongFormat
        If nothing tells.
    """
    known = set(patients)
    for evidence in (known, None):
        in_rows, in_columns = (
            sum(name in evidence if evidence is not None else _is_gene(name) for name in names)
            for names in (matrix.rows, matrix.columns)
        )
        # Patients name the other axis than genes do.
        if in_rows > 10 * in_columns:
            return Axis.ROWS if evidence is None else Axis.COLUMNS
        if in_columns > 10 * in_rows:
            return Axis.COLUMNS if evidence is None else Axis.ROWS
    if matrix.corner in _GENE_NAMES:
        return Axis.ROWS
    if matrix.corner in _PATIENT_NAMES:
        return Axis.COLUMNS
    raise WrongFormat(
        "nothing tells whether rows or columns are genes",
        where=matrix.file,
        expected="HGNC symbols or Ensembl identifiers",
        hint="Say it: --genes rows or --genes columns.",
    )


def _is_gene(name: str) -> bool:
    return name in _KNOWN_GENES or _ENSEMBL.match(name) is not None


def genes_in_rows(matrix: Matrix, axis: Axis) -> Matrix:
    """The matrix with genes in rows and patients in columns."""
    if axis is Axis.ROWS:
        return matrix
    return replace(matrix, rows=matrix.columns, columns=matrix.rows, values=matrix.values.T)


def unit_of(matrix: Matrix) -> Unit:
    """Unit of the values: by the name of the file, else counts if all are whole numbers.

    Raises
    ------
    WrongFormat
        If neither tells.
    """
    named = next((unit for pattern, unit in _UNITS if pattern.search(matrix.file)), None)
    if named is not None:
        return named
    values = matrix.values[~np.isnan(matrix.values)]
    if len(values) and (values >= 0).all() and (values == np.floor(values)).all():
        return Unit.COUNTS
    raise WrongFormat(
        "nothing tells the unit of the values",
        where=matrix.file,
        expected="whole numbers, or tpm, fpkm or log2 in the name of the file",
        hint="Say it: --unit counts, tpm, fpkm or log2.",
    )


def check_unit(matrix: Matrix, unit: Unit) -> None:
    """Refuse values that cannot have the unit.

    Raises
    ------
    ImpossibleValue
        If one is out of range.
    """
    lowest = MIN_LOG2 if unit is Unit.LOG2 else 0.0
    wrong = int(((matrix.values < lowest) | (matrix.values > MAX_VALUE[unit])).sum())
    if wrong:
        raise ImpossibleValue(
            "the matrix holds values that cannot have been measured",
            where=matrix.file,
            expected=f"{unit} from {lowest:g} to {MAX_VALUE[unit]:g}",
            got=f"{wrong} others",
        )


def named_genes(matrix: Matrix, unit: Unit) -> tuple[Matrix, int, int]:
    """Rows with a gene; of a gene given twice in logarithms, which cannot be summed, the first.

    Returns
    -------
    The matrix, rows without a name, and rows that repeat a gene and were left out.
    """
    names = pl.Series(matrix.rows, dtype=pl.String)
    named = ~names.str.to_lowercase().is_in([*NOTHING, "?"])
    first = names.is_first_distinct() if unit is Unit.LOG2 else named
    kept = (named & first).to_numpy()
    rows = [name for name, keep in zip(matrix.rows, kept, strict=True) if keep]
    if not rows:
        raise EmptyFile("no row of the matrix names a gene", where=matrix.file)
    unnamed = int((~named).sum())
    return (replace(matrix, rows=rows, values=matrix.values[kept]), unnamed,
            len(kept) - int(kept.sum()) - unnamed)  # fmt: skip


def patient_ids(names: Sequence[str], where: str) -> dict[str, str]:
    """Name -> pseudonym that a samplesheet takes: other characters become ``_``.

    Raises
    ------
    WrongFormat
        If two names become one, or one is empty or too long.
    """
    ids = {name: re.sub(r"[^A-Za-z0-9_-]", "_", name.strip()) for name in names}
    if len(set(ids.values())) < len(names) or not all(map(PATIENT_ID.fullmatch, ids.values())):
        raise WrongFormat(
            "the patients' names cannot be used",
            where=where,
            expected="different names of 1 to 64 letters, digits, - and _",
        )
    return ids
