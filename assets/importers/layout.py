"""The landing folder of an imported cohort: rows of the samplesheet, clinical tables.

    what an importer landed -> sheet_row, write_clinical -> samplesheet.csv, clinical/*.csv

Public cohorts have no dates: all lies on one pseudo-date, the patient's index date.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from ml.frames.implausible import found_in
from oncoframe.contracts import Modality, Status

#: Pseudo-date of every specimen of a cohort without dates.
DAY_ZERO = date(2020, 1, 1)
#: Genes with implausible values that the summary of an import names.
_NAMED = 20


@dataclass(frozen=True)
class LabelSource:
    """Where a cohort's labels are, and what they are to be called.

    Parameters
    ----------
    file
        Table of patients and labels; None: found by its name.
    column
        Its column of labels; None: found where there is no choice.
    name, version
        What is labelled and by which classification, as a study names them.
    """

    file: Path | None = None
    column: str | None = None
    name: str = "label"
    version: str = "as imported"


#: Labels wherever there is no choice.
ONLY_LABELS = LabelSource()


def implausible_genes(values: np.ndarray, genes: Sequence[str]) -> dict[str, str]:
    """Gene -> its values that no measurement gives, in words; the farthest first.

    Nothing is changed: a study says whether its models see such values.

    Parameters
    ----------
    values : (patients, genes) array of float
        NaN: not known.
    genes : (genes,) sequence of str
    """
    _, found = found_in(values, genes)
    farthest = sorted(found, key=lambda one: -abs(one.farthest - one.median))[:_NAMED]
    return {
        one.column: f"{one.values}, as far as {one.farthest:,.10g} (median {one.median:.4g})"
        for one in farthest
    }


def sheet_row(
    patient_id: str, modality: Modality, path: Path | None, *, tool: str, build: str = ""
) -> dict[str, str]:
    """Row of the samplesheet of a specimen of :data:`DAY_ZERO`.

    Parameters
    ----------
    path
        File of the landing zone, one folder deep; None: the assay was not performed.
    tool, build
        What wrote the values, and the genome build of their positions.
    """
    return {
        "patient_id": patient_id,
        "modality": modality,
        "path": f"{path.parent.name}/{path.name}" if path else "",
        "collected_on": DAY_ZERO.isoformat(),
        "status": Status.PERFORMED if path else Status.NOT_PERFORMED,
        "reference_build": build,
        "tool": tool,
        "site": "",
    }


def landing_folder(landing: Path, name: str) -> Path:
    """Folder of the landing zone, created if needed."""
    folder = landing / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_clinical(
    landing: Path, patients: pl.DataFrame, labels: Mapping[str, str], source: LabelSource
) -> None:
    """Write ``clinical/patients.csv`` and ``clinical/diagnoses.csv``.

    Parameters
    ----------
    patients
        ``patient_id`` and canonical clinical columns, one row per patient.
    labels
        Patient -> label, of those who have one.
    source
        What they are called.
    """
    folder = landing_folder(landing, "clinical")
    first = patients.select(
        "patient_id",
        pl.lit(DAY_ZERO.isoformat()).alias("index_date"),
        pl.all().exclude("patient_id"),
    )
    first.sort("patient_id").write_csv(folder / "patients.csv")
    diagnoses = pl.DataFrame(
        {"patient_id": list(labels), "label_value": list(labels.values())},
        schema={"patient_id": pl.String(), "label_value": pl.String()},
    ).select(
        "patient_id",
        pl.lit(source.name).alias("label_name"),
        "label_value",
        pl.lit(source.version).alias("label_version"),
        pl.lit(DAY_ZERO.isoformat()).alias("known_on"),
    )
    diagnoses.sort("patient_id").write_csv(folder / "diagnoses.csv")
