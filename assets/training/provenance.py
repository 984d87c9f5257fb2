"""How the patients of a frame were measured: the provenance that no feature view serves.

sidecar, rows of a frame, lake -> the rows it was joined from -> site, tool, builds per patient
"""

from datetime import datetime
from typing import Any

import polars as pl

from assets.training.served import served_rows
from oncoframe.lake import Lake

#: Provenance that can explain why values moved.
COVARIATES = ("site", "tool", "reference_build", "annotation_version", "code_version")


def frame_provenance(lake: Lake, sidecar: dict[str, Any], rows: pl.DataFrame) -> pl.DataFrame:
    """Provenance of each patient of a frame, as of the versions the frame was built from.

    Parameters
    ----------
    lake
        Holds the tables of the frame.
    sidecar
        ``frame.json``.
    rows
        ``patient_id`` and ``index_timestamp`` of its patients.

    Returns
    -------
    (n) frame: ``patient_id`` and ``<table>__<name>`` for each of :data:`COVARIATES` that the table
    has; null where the table has no row of the patient.
    """
    found = rows.select("patient_id", "index_timestamp")
    known_by = datetime.fromisoformat(sidecar["as_of"])
    for table in sorted({column["view"] for column in sidecar["columns"].values()}):
        served = served_rows(
            lake,
            table,
            rows,
            COVARIATES,
            known_by=known_by,
            version=sidecar["versions"][table],
        )
        names = {name: f"{table}__{name}" for name in COVARIATES if name in served.columns}
        served = served.select("patient_id", *names).rename(names)
        found = found.join(served, on="patient_id", how="left", maintain_order="left")
    return found.drop("index_timestamp")
