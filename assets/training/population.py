"""Who is in a training frame, and why the others are not.

cohort, labels, ledger (as known at a time) -> select -> index time and label per patient
"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from ml.study.definition import Study
from oncoframe import ledger
from oncoframe.contracts import UTC_TIME
from oncoframe.errors import StudyError
from oncoframe.lake import Lake
from oncoframe.ledger import Outcome
from oncoframe.point_in_time import latest_rows

COHORT = "cohort"
LABELS = "labels"

#: Why a patient is not in a frame; the sidecar counts and names them.
NO_LABEL = "no label"
QUARANTINED = "a file of the patient is in quarantine"
HELD_OUT = "of a site that is held out for validation"
OTHER_SITE = "of another site"
RARE_CLASS = "class with fewer patients than the study asks for"


@dataclass(frozen=True)
class Population:
    """Patients of a study.

    Parameters
    ----------
    members
        ``patient_id``, ``index_timestamp``, ``label``; sorted by patient.
    excluded
        ``patient_id``, ``reason``; sorted by patient.
    sites
        ``patient_id``, ``site`` of the members; tells patients apart, never a feature.
    unread
        ``patient_id``, ``modality``: assays of members whose file could not be read.
    """

    members: pl.DataFrame
    excluded: pl.DataFrame
    sites: pl.DataFrame
    unread: pl.DataFrame


def select_population(
    lake: Lake,
    study: Study,
    *,
    known_by: datetime,
    versions: dict[str, int | None],
    everyone: bool = False,
    only_site: str | None = None,
) -> Population:
    """Patients with a label, an index time, consent and readable files.

    Parameters
    ----------
    lake
        Holds the tables ``cohort``, ``labels`` and the ledger.
    study
        Which label, and what leaves a patient out.
    known_by
        Rows learned later are not looked at.
    versions
        Table -> Delta version to read.
    everyone
        Also patients without a label that the study can use; theirs is null.
    only_site
        Only patients of this site, however few there are of a class; a site that is held out is
        taken in only so.

    Raises
    ------
    StudyError
        If nobody is left.
    """

    def newest(table: str, by: tuple[str, ...]) -> pl.DataFrame:
        if versions[table] is None:
            raise StudyError(
                f"the lake has no table {table}",
                where=f"study {study.name}",
                hint="Run 'oncoframe run' on a landing zone with clinical tables first.",
            )
        rows = lake.scan(table, version=versions[table])
        return latest_rows(rows, by=by, known_by=known_by).collect()

    cohort = newest(COHORT, ("patient_id",)).select(
        "patient_id", "exclusion_reason", "site", index_timestamp="event_timestamp"
    )
    labels = (
        newest(LABELS, ("patient_id", "label_name", "label_version"))
        .filter(label_name=study.label.name, label_version=study.label.version)
        .select("patient_id", label="label_value")
    )
    unread = _quarantined(lake, known_by, versions[ledger.TABLE])
    counts = unread if study.population.unreadable == "exclude" else unread.clear()
    quarantined = counts.select("patient_id", quarantined=pl.lit(value=True)).unique()
    candidates = (
        cohort.join(labels, on="patient_id", how="left")
        .join(quarantined, on="patient_id", how="left")
        .with_columns(reason=_reason(study, everyone=everyone, only_site=only_site))
    )
    if everyone:
        no_class = pl.col("label").is_in(list(study.label.exclude))
        candidates = candidates.with_columns(label=pl.when(~no_class).then("label"))
    elif only_site is None:
        candidates = _without_rare_classes(candidates, study.label.min_patients_per_class)
    members = candidates.filter(pl.col("reason").is_null())
    excluded = candidates.drop_nulls("reason").select("patient_id", "reason").sort("patient_id")
    if members.is_empty():
        reasons = ", ".join(
            f"{count} {why}" for why, count in excluded["reason"].value_counts().iter_rows()
        )
        raise StudyError("no patient is left", where=f"study {study.name}", got=reasons)
    members = members.sort("patient_id")
    return Population(
        members.select("patient_id", "index_timestamp", "label"),
        excluded,
        members.select("patient_id", "site"),
        unread.join(members, on="patient_id", how="semi").sort("patient_id", "modality"),
    )


def _reason(study: Study, *, everyone: bool, only_site: str | None) -> pl.Expr:
    excluded = [
        pl.when(pl.col("label") == value).then(pl.lit(f"label {value}: {why}"))
        for value, why in study.label.exclude.items()
    ]
    held_out = pl.col("site").is_in(list(study.population.held_out_sites))
    elsewhere = (
        pl.when(held_out & pl.lit(not everyone)).then(pl.lit(HELD_OUT))
        if only_site is None
        else pl.when(pl.col("site").ne_missing(only_site)).then(pl.lit(OTHER_SITE))
    )
    no_label = pl.when(pl.col("label").is_null()).then(pl.lit(NO_LABEL))
    return pl.coalesce(
        pl.col("exclusion_reason"),
        elsewhere,
        *([] if everyone else [no_label, *excluded]),
        pl.when(pl.col("quarantined").is_not_null()).then(pl.lit(QUARANTINED)),
    )


def _without_rare_classes(candidates: pl.DataFrame, floor: int) -> pl.DataFrame:
    left_in = pl.col("reason").is_null()
    size = left_in.sum().over("label")
    return candidates.with_columns(
        reason=pl.when(left_in & (size < floor)).then(pl.lit(RARE_CLASS)).otherwise("reason")
    )


def _quarantined(lake: Lake, known_by: datetime, version: int | None) -> pl.DataFrame:
    """``patient_id`` and ``modality`` of the files that could not be read."""
    if version is None:
        return pl.DataFrame(schema={"patient_id": pl.String(), "modality": pl.String()})
    entries = lake.scan(ledger.TABLE, version=version).filter(
        pl.col("last_seen") <= pl.lit(known_by, dtype=UTC_TIME)
    )
    return (
        ledger.last_attempts(entries)
        .filter(pl.col("outcome").is_in([Outcome.QUARANTINED, Outcome.RETRY_LATER]))
        .select("patient_id", "modality")
        .collect()
    )
