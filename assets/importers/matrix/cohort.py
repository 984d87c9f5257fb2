"""Any expression matrix with labels, turned into the landing layout.

    matrix, table of labels -> axis and unit told -> one table per patient, clinical/*.csv
    -> samplesheet.csv, written last

Genes may be in rows or in columns; labels stand in a second table or in a column of the matrix.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from assets.expression.layouts import Unit
from assets.importers.layout import (
    ONLY_LABELS,
    LabelSource,
    implausible_genes,
    landing_folder,
    sheet_row,
    write_clinical,
)
from assets.importers.matrix import tables
from assets.importers.tables import NOTHING, find_file, read_table, require
from assets.importers.writers import write_expression
from assets.landing.samplesheet import write_samplesheet
from oncoframe.contracts import Modality
from oncoframe.errors import FileMissing, WrongFormat

#: Name of the value column -> unit that the reader of expression finds in it.
VALUE_COLUMNS = {
    Unit.COUNTS: "counts",
    Unit.TPM: "tpm",
    Unit.FPKM: "fpkm",
    Unit.LOG2: "log2_expression",
}
_MATRICES = ("*count*", "*expr*", "*matrix*", "*tpm*", "*fpkm*", "*rsem*", "*norm*")
_LABELS = ("*label*", "*subtype*", "*class*", "*pheno*", "*clinical*", "*metadata*")


@dataclass(frozen=True)
class MatrixSummary:
    """What was landed and what became of the rest.

    ``gene_rows == genes + unnamed_genes + repeated_genes`` always holds.

    Parameters
    ----------
    patients
        Patients landed.
    patients_without_values
        Of these, patients of whom no value is known: not performed.
    renamed_patients
        Of these, patients whose name had other characters than a pseudonym.
    genes_in, unit
        What was found about the matrix.
    gene_rows, genes
        Genes of the matrix, and those in the files.
    unnamed_genes, repeated_genes
        Genes without a name, and second rows of a gene of logarithms, both left out.
    labelled, classes
        Patients with a label, and different labels.
    labels_without_patient
        Rows of the table of labels that name nobody of the matrix.
    implausible
        Gene -> values that no measurement gives; they are landed as they are.
    """

    patients: int
    patients_without_values: int
    renamed_patients: int
    genes_in: str
    unit: str
    gene_rows: int
    genes: int
    unnamed_genes: int
    repeated_genes: int
    labelled: int
    classes: int
    labels_without_patient: int
    implausible: dict[str, str]


def import_matrix(
    source: Path,
    landing: Path,
    *,
    labels: LabelSource = ONLY_LABELS,
    genes: tables.Axis | None = None,
    unit: Unit | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MatrixSummary:
    """Write the landing layout of an expression matrix.

    Parameters
    ----------
    source
        The matrix, or a folder with one file that is called like one.
    landing
        Folder to write; created if needed.
    labels
        Their table, by default the one of the folder that is called like one, and their column
        there or in the matrix, by default the only one beside the patients.
    genes, unit
        Axis of the genes and unit of the values; told from the data unless given.
    progress
        Called with (patients written, patients in all).

    Raises
    ------
    FileMissing
        If a file is not there, or several could be meant.
    EmptyFile, TruncatedFile, WrongFormat, ImpossibleValue
        If it is not the table it should be, axis, unit or label cannot be told, or a value cannot
        be.
    """
    file, label_file = _find(source, labels)
    matrix = tables.read_matrix(file, text=() if labels.column is None else (labels.column,))
    by_name = None if label_file is None else _label_table(label_file, matrix, labels.column)
    axis = genes or tables.genes_axis(matrix, by_name or ())
    if by_name is None:
        by_name = _label_column(matrix, axis, labels.column)
    matrix = tables.genes_in_rows(matrix, axis)
    unit = unit or tables.unit_of(matrix)
    tables.check_unit(matrix, unit)
    gene_rows = len(matrix.rows)
    matrix, unnamed, repeated = tables.named_genes(matrix, unit)
    ids = tables.patient_ids(matrix.columns, matrix.file)

    landed = land_expression(landing, matrix, ids, unit, tool="matrix", progress=progress)
    found = {ids[name]: label for name, label in by_name.items() if name in ids and label}
    write_clinical(landing, pl.DataFrame({"patient_id": list(ids.values())}), found, labels)
    write_samplesheet(landing, landed)
    return MatrixSummary(
        patients=len(ids),
        patients_without_values=sum(not row["path"] for row in landed),
        renamed_patients=sum(name != patient for name, patient in ids.items()),
        genes_in=axis.value,
        unit=unit.value,
        gene_rows=gene_rows,
        genes=len(matrix.rows),
        unnamed_genes=unnamed,
        repeated_genes=repeated,
        labelled=len(found),
        classes=len(set(found.values())),
        labels_without_patient=len(by_name.keys() - ids.keys()),
        implausible=implausible_genes(matrix.values.T, matrix.rows),
    )


def land_expression(
    landing: Path,
    matrix: tables.Matrix,
    ids: dict[str, str],
    unit: Unit,
    *,
    tool: str,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, str]]:
    """Write one expression table per patient; returns their rows of the samplesheet.

    Parameters
    ----------
    matrix
        Genes in rows.
    ids
        Column of the matrix -> patient; columns that are not named are left out.
    """
    folder = landing_folder(landing, "expression")
    names = pl.Series(matrix.rows, dtype=pl.String)
    rows = []
    for column, name in enumerate(matrix.columns):
        if name not in ids:
            continue
        values = matrix.values[:, column]
        path = None
        if not np.isnan(values).all():
            path = folder / f"{ids[name]}.tsv"
            write_expression(
                path, names, _shortest(values), unit=VALUE_COLUMNS[unit], gene_column="gene_id"
            )
        rows.append(sheet_row(ids[name], Modality.EXPRESSION, path, tool=tool))
        if progress:
            progress(len(rows), len(ids))
    return rows


def _find(source: Path, labels: LabelSource) -> tuple[Path, Path | None]:
    """Files of the matrix and of the labels."""
    if source.is_file():
        return source, labels.file
    matrix = find_file(source, _MATRICES, "expression matrix", hint="Give the file itself.")
    if matrix is None:
        raise FileMissing(
            "the expression matrix is not there",
            where=str(source),
            expected=f"one file {' or '.join(_MATRICES)}",
            hint="Give the file itself.",
        )
    if labels.file is not None:
        return matrix, labels.file
    return matrix, find_file(source, _LABELS, "table of labels", hint="Name it: --labels FILE.")


def _shortest(values: np.ndarray) -> pl.Series:
    """Values with nulls; whole numbers without a decimal point."""
    series = pl.Series(values, nan_to_null=True)
    whole = series.drop_nulls()
    return series.cast(pl.Int64) if (whole == whole.floor()).all() else series


def _label_table(path: Path, matrix: tables.Matrix, column: str | None) -> dict[str, str | None]:
    """Patient as named -> label, of a second table; None where it gives none."""
    rows = read_table(path)
    names = {*matrix.rows, *matrix.columns}
    if names & set(rows.columns):  # there is no header: its names are the first patient
        first = pl.DataFrame([rows.columns], schema=rows.columns, orient="row")
        rows = pl.concat([first, rows])
        rows.columns = [f"column {number + 1}" for number in range(rows.width)]
    patient = max(rows.columns, key=lambda name: int(rows[name].is_in(list(names)).sum()))
    rows = rows.drop_nulls(patient)
    if not rows[patient].is_in(list(names)).any():
        raise WrongFormat(
            "the table of labels names no patient of the matrix",
            where=path.name,
            expected=f"names as in {matrix.file}",
        )
    if rows[patient].is_duplicated().any():
        raise WrongFormat("a patient has two rows of labels", where=path.name)
    others = [name for name in rows.columns if name != patient]
    if column is not None:
        require(others, [column], path)
    elif len(others) != 1:
        raise WrongFormat(
            "nothing tells which column is the label",
            where=path.name,
            expected="one column beside the patients",
            got=str(len(others)),
            hint="Name it: --label-column NAME.",
        )
    return dict(rows.select(patient, column or others[0]).iter_rows())


def _label_column(
    matrix: tables.Matrix, axis: tables.Axis, column: str | None
) -> dict[str, str | None]:
    """Patient as named -> label, of a column of the matrix."""
    if column is None:
        return {}
    if axis is tables.Axis.ROWS or column not in matrix.texts:
        raise WrongFormat(
            f"there is no column {column} with labels",
            where=matrix.file,
            hint="Give the table that has it: --labels FILE.",
        )
    texts = (text.strip() for text in matrix.texts[column])
    known = (text if text.lower() not in NOTHING else None for text in texts)
    return dict(zip(matrix.rows, known, strict=True))
