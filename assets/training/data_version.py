"""Data version of a study: one name for all that a frame of it would be made of today.

    versions of the tables, view definitions, study, code -> data_version -> retrain, or nothing new

The ledger is left out: an attempt that failed again changes no value. Rows that a table gained
for reasons that concern no patient of the study count, too: reading them all would cost a frame.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import polars as pl

from assets.training.population import COHORT, LABELS
from ml.study.definition import Study
from oncoframe import ledger
from oncoframe.contracts import Contract
from oncoframe.lake import Lake, dictionary_table
from oncoframe.point_in_time import served_rows

#: Changes whenever the same tables and study would give another frame.
CODE_VERSION = "4"
_DIGITS = 16


def frame_tables(contracts: Sequence[Contract]) -> list[str]:
    """Tables of the lake that a frame is read from: features, dictionaries, cohort, labels."""
    axes = sorted({block.axis for contract in contracts for block in contract.blocks})
    features = (contract.table for contract in contracts)
    return [*features, *map(dictionary_table, axes), COHORT, LABELS]


def data_version(
    lake: Lake,
    study: Study,
    contracts: Sequence[Contract],
) -> str:
    """Hash over everything that a new frame of a study rests on.

    Parameters
    ----------
    lake
        Holds the tables; one that was never written counts as such.
    study
        Population, label and recipes.
    contracts
        Feature tables of its service.

    Returns
    -------
    16 hexadecimal digits; equal as long as a retraining would find nothing new.
    """
    versions = {table: lake.version(table) for table in frame_tables(contracts)}
    return _hash(study, versions, views_sha256(contracts), CODE_VERSION)


def views_sha256(contracts: Sequence[Contract]) -> str:
    """Hash of the view definitions of a frame."""
    return sha256(repr(list(contracts)).encode()).hexdigest()


def _hash(study: Study, versions: Mapping[str, int | None], views: str, code_version: str) -> str:
    identity = {
        "study": study.model_dump(mode="json"),
        "versions": dict(versions),
        "views": views,
        "code_version": code_version,
    }
    text = json.dumps(identity, sort_keys=True)
    return sha256(text.encode()).hexdigest()[:_DIGITS]


def version_of_frame(about: Mapping[str, Any]) -> str:
    """Data version of the study when a frame with all modalities was built.

    Parameters
    ----------
    about
        Its ``frame.json``.
    """
    study = Study.model_validate(about["study_definition"])
    versions = {t: version for t, version in about["versions"].items() if t != ledger.TABLE}
    return _hash(study, versions, about["views_sha256"], about["code_version"])


def last_learned(lake: Lake, sidecar: dict[str, Any], rows: pl.DataFrame) -> pl.DataFrame:
    """When the newest row behind each patient of a frame became known.

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
    (n) frame in the order of ``rows``: ``patient_id``, ``learned``; null for a patient of whom no
    table says anything.
    """
    known_by = datetime.fromisoformat(sidecar["as_of"])
    tables = sorted({column["view"] for column in sidecar["columns"].values()})
    behind = [
        served_rows(lake, table, rows, (), known_by=known_by, version=sidecar["versions"][table])
        for table in tables
    ]
    learned = pl.concat(
        [part.select("patient_id", "created_timestamp") for part in behind if part.width > 1]
    )
    newest = learned.group_by("patient_id").agg(learned=pl.col("created_timestamp").max())
    return rows.select("patient_id").join(
        newest, on="patient_id", how="left", maintain_order="left"
    )
