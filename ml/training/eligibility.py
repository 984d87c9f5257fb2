"""Whether a frame is one that a study can be trained on, and which of its modality sets are.

frame, study -> check_frame (StudyError) -> with_assays -> the study as it can be trained
"""

import numpy as np
import polars as pl

from ml.frames.frame import Frame
from ml.study.definition import Study
from oncoframe.columns import Column
from oncoframe.errors import StudyError


def check_frame(frame: Frame, study: Study) -> None:
    """Refuse a frame that was not built for a study as it is.

    Raises
    ------
    StudyError
        If study or label are others, an exclusion names no column, or a class should not be in.
    """
    sidecar, where = frame.sidecar, frame.sidecar.frame_id
    if (sidecar.study, sidecar.label_name) != (study.name, study.label.name):
        raise StudyError(
            "the frame was built for another study",
            where=where,
            expected=f"{study.name} with label {study.label.name}",
            got=f"{sidecar.study} with label {sidecar.label_name}",
        )
    unknown = [
        name
        for name in study.features.exclude
        if name not in {**sidecar.columns, **sidecar.empty_columns}
        and Column.parse(name).table in sidecar.views
    ]
    if unknown:
        # A typing error here would let in the very column that was to stay out.
        raise StudyError(
            "the study excludes columns that the frame does not have",
            where=where,
            got=", ".join(unknown),
        )
    sizes = frame.rows["label"].value_counts()
    small = sizes.filter(pl.col("count") < study.label.min_patients_per_class)["label"]
    wrong = sorted({*small, *(set(sizes["label"]) & set(study.label.exclude))})
    if wrong:
        raise StudyError(
            "the frame holds classes that the study leaves out",
            where=where,
            got=", ".join(wrong),
            hint="Build it again: oncoframe frame build.",
        )


def with_assays(study: Study, frame: Frame) -> Study:
    """The study without modality sets of which no patient of the frame had an assay.

    Raises
    ------
    StudyError
        If no set is left.
    """
    performed: dict[str, bool] = {}
    for name, column in frame.sidecar.columns.items():
        if column.kind == "performed":
            performed[column.modality] = bool(frame.rows[name].any())
    kept = {
        name: modalities
        for name, modalities in study.modality_sets.items()
        if any(performed.get(modality, True) for modality in modalities)
    }
    if not kept:
        raise StudyError("no patient has an assay of the study", where=frame.sidecar.frame_id)
    recipes = tuple(
        recipe
        if recipe.modality_sets is None
        else recipe.model_copy(
            update={"modality_sets": tuple(n for n in recipe.modality_sets if n in kept)}
        )
        for recipe in study.recipes
    )
    return study.model_copy(update={"modality_sets": kept, "recipes": recipes})


def complete(frame: Frame, study: Study) -> tuple[np.ndarray, tuple[str, ...]]:
    """(n,) mask of the patients who had every assay of a study, and the assays.

    Parameters
    ----------
    study
        Of :func:`with_assays`: an assay that nobody had is none of its.
    """
    asked = {modality for modalities in study.modality_sets.values() for modality in modalities}
    flags = {
        column.modality: frame.rows[name].to_numpy().astype(bool)
        for name, column in frame.sidecar.columns.items()
        if column.kind == "performed" and column.modality in asked and frame.rows[name].any()
    }
    has_all = np.ones(frame.rows.height, dtype=bool)
    for had in flags.values():
        has_all &= had
    return has_all, tuple(sorted(flags))


def too_few(patients: int, study: Study) -> str | None:
    """Why so many patients with every assay are no comparison; None where they are one."""
    least = study.subgroups.min_patients
    if patients >= least:
        return None
    return f"{patients} patients had every assay, which is too few ({least} needed)"
