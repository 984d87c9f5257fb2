"""How the rows behind a frame were measured, and who was measured in another way than the others.

    patients, tables -> how_measured -> (ml.frames.leakage refuses a mix, or) without_odd_ones

A training frame refuses to mix ways of measuring. A frame to score must not: one patient with
another genome build would cost all others their scores.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from assets.training.population import Population
from ml.study.definition import Study
from oncoframe.columns import Column
from oncoframe.lake import Lake
from oncoframe.point_in_time import served_rows


def how_measured(
    lake: Lake,
    tables: Sequence[str],
    study: Study,
    patients: pl.DataFrame,
    *,
    known_by: datetime,
    versions: Mapping[str, int | None],
) -> dict[str, pl.DataFrame]:
    """Feature table -> patient and the columns that all rows must share.

    The feature views do not serve provenance, so the rows are read as the join reads them.

    Parameters
    ----------
    tables
        Feature tables of the frame.
    patients : (n) frame
        ``patient_id`` and ``index_timestamp``.
    known_by, versions
        As-of time and Delta versions of the frame.
    """
    return {
        table: served_rows(
            lake,
            table,
            patients,
            study.guards.same,
            known_by=known_by,
            version=versions[table],
        )
        for table in tables
    }


def without_odd_ones(
    population: Population, measured: Mapping[str, pl.DataFrame], study: Study
) -> Population:
    """Population of the patients who were measured in the most frequent way.

    Parameters
    ----------
    population
        Patients with or without label.
    measured
        As :func:`how_measured` gives it. Null says nothing.
    study
        Its guards name the columns that must have one value in all rows.

    Returns
    -------
    The others are excluded with the reason ``measured with another <column>``. Of two ways that
    are equally frequent the alphabetically first counts.
    """
    odd: dict[str, str] = {}
    for column in study.guards.same:
        rows = [
            pair
            for table in measured.values()
            if column in table.columns
            for pair in table.select("patient_id", pl.col(column).cast(pl.String)).iter_rows()
            if pair[1] is not None and pair[0] not in odd
        ]
        counts = Counter(value for _, value in rows)
        if len(counts) > 1:
            usual = min(counts, key=lambda value: (-counts[value], value))
            odd |= {
                patient: f"measured with another {column}"
                for patient, value in rows
                if value != usual
            }
    if not odd:
        return population
    excluded = pl.DataFrame(
        {"patient_id": list(odd), "reason": list(odd.values())}, schema=population.excluded.schema
    )
    stays = ~pl.col("patient_id").is_in(list(odd))
    return Population(
        population.members.filter(stays),
        pl.concat([population.excluded, excluded]).sort("patient_id"),
        population.sites.filter(stays),
        population.unread.filter(stays),
    )


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
            lake, table, rows, COVARIATES, known_by=known_by, version=sidecar["versions"][table]
        )
        names = {n: str(Column(table, n)) for n in COVARIATES if n in served.columns}
        served = served.select("patient_id", *names).rename(names)
        found = found.join(served, on="patient_id", how="left", maintain_order="left")
    return found.drop("index_timestamp")
