"""NSCLC Radiogenomics: the public download turned into the landing layout.

    clinical table -> index date (surgery) of each patient -> clinical/*.csv with two labels
    gene table     -> one expression table per patient who has RNA
    -> samplesheet.csv, written last

What the clinical table becomes is in :mod:`assets.importers.nsclc.clinical`. Dates are
those of the table, shifted by its makers; only their distances mean something.

References
----------
Bakr S et al. A radiogenomic dataset of non-small cell lung cancer. Sci Data 2018;5:180202.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from assets.expression.layouts import Unit
from assets.importers.layout import implausible_genes, landing_folder
from assets.importers.matrix.cohort import VALUE_COLUMNS
from assets.importers.nsclc.clinical import OVERALL, TWO_YEARS, clinical_tables
from assets.importers.tables import find_file, read_table, require
from assets.importers.writers import write_expression
from assets.landing.samplesheet import write_samplesheet
from oncoframe.contracts import Modality, Status
from oncoframe.errors import ImpossibleValue


@dataclass(frozen=True)
class NsclcSummary:
    """What was landed.

    Parameters
    ----------
    patients
        Patients landed.
    with_expression, genes
        Of these, patients with RNA, and genes of each.
    expression_without_patient
        Rows of the gene table that name nobody of the clinical table.
    without_index_date
        Patients of whom nobody knows when they were operated on.
    two_year_survival
        Label -> patients.
    deaths
        Of the patients with a survival time.
    implausible
        Gene -> values that no measurement gives; they are landed as they are.
    """

    patients: int
    with_expression: int
    genes: int
    expression_without_patient: int
    without_index_date: int
    two_year_survival: dict[str, int]
    deaths: int
    implausible: dict[str, str]


def import_nsclc(
    source: Path, landing: Path, *, progress: Callable[[int, int], None] | None = None
) -> NsclcSummary:
    """Write the landing layout of an NSCLC Radiogenomics download.

    Parameters
    ----------
    source
        Folder with the clinical table (``*abel*.csv``, comma-separated) and, if there is one, a
        table of genes (``*.tsv``: patients in rows, named ``PID``).
    landing
        Folder to write; created if needed.
    progress
        Called with (patients written, patients in all).

    Raises
    ------
    FileMissing
        If there is no clinical table, or several files could be meant.
    WrongFormat
        If a column is missing, or a coded column holds a value that is not known.
    ImpossibleValue
        If a date or a number is none, or a patient occurs twice.
    """
    patients, labels = clinical_tables(source)
    genes = _genes(source)
    folder = landing_folder(landing, "clinical")
    patients.write_csv(folder / "patients.csv")
    labels.write_csv(folder / "diagnoses.csv")
    sheet = []
    specimens = patients.select("patient_id", "index_date", "site")
    for done, (patient, day, site) in enumerate(specimens.iter_rows(), 1):
        sheet.append(_land_expression(landing, patient, day, site, genes))
        if progress:
            progress(done, len(patients))
    write_samplesheet(landing, sheet)
    two_years = labels.filter(label_name=TWO_YEARS)["label_value"].value_counts(sort=True)
    overall = labels.filter(label_name=OVERALL)["label_value"]
    known = set(patients["patient_id"])
    return NsclcSummary(
        patients=len(patients),
        with_expression=sum(bool(row["path"]) for row in sheet),
        genes=0 if genes is None else genes.width - 1,
        expression_without_patient=0 if genes is None else len(set(genes["PID"]) - known),
        without_index_date=patients["index_date"].null_count(),
        two_year_survival=dict(two_years.iter_rows()),
        deaths=int((~overall.str.ends_with("+")).sum()),
        implausible={}
        if genes is None
        else implausible_genes(genes.drop("PID").to_numpy(), genes.drop("PID").columns),
    )


def _genes(source: Path) -> pl.DataFrame | None:
    """Gene table, patients in rows; None without one."""
    path = find_file(source, ("*gen*.tsv", "*.tsv"), "gene table", hint="Keep one.")
    if path is None:
        return None
    table = read_table(path)
    require(table.columns, ["PID"], path)
    # The table repeats an outcome between patient and genes.
    table = table.drop("Recurrence", strict=False)
    names = [name for name in table.columns if name != "PID"]
    numbers = table.with_columns(pl.col(names).cast(pl.Float64, strict=False))
    lost = sum(numbers[name].null_count() - table[name].null_count() for name in names)
    if lost:
        raise ImpossibleValue(
            "the gene table holds other values than numbers", where=path.name, got=f"{lost} values"
        )
    return numbers


def _land_expression(
    landing: Path, patient: str, day: date | None, site: str | None, genes: pl.DataFrame | None
) -> dict[str, str]:
    """Row of the samplesheet; a patient without RNA was not sequenced."""
    own = None if genes is None else genes.filter(PID=patient)
    path = None
    if own is not None and len(own) and day is not None:
        path = landing_folder(landing, "expression") / f"{patient}.tsv"
        names = pl.Series([name for name in own.columns if name != "PID"])
        values = pl.Series(own.row(0)[1:], dtype=pl.Float64)
        write_expression(path, names, values, unit=VALUE_COLUMNS[Unit.FPKM])
    return {
        "patient_id": patient,
        "modality": Modality.EXPRESSION,
        "path": f"{path.parent.name}/{path.name}" if path else "",
        "collected_on": str(day) if day is not None else "",
        "status": Status.PERFORMED if path else Status.NOT_PERFORMED,
        "reference_build": "",
        "tool": "NSCLC Radiogenomics",
        "site": site or "",
    }
