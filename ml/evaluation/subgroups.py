"""Whether a model serves some patients worse, and whether the data did so before it.

    frame, study -> groups_of -> subgroup_table (results by group), bias_table (the data by group)

A group with too few patients is listed without a number: an interval that says nothing is no
finding in either direction.

References
----------
Hardt M et al. Amazon SageMaker Clarify. KDD 2021 (class imbalance, difference in proportions).
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import polars as pl

from ml.frames.frame import Frame
from ml.intervals import Estimate, estimate, resamples
from ml.study.modelling import Subgroup, Subgroups
from oncoframe.errors import StudyError

#: What patients without a value are called.
UNKNOWN = "not known"
#: Column of a subgroup that no frame column answers.
SITE = "site"


def groups_of(frame: Frame, plan: Subgroups) -> dict[str, np.ndarray]:
    """Grouping -> (n,) name of each patient's group.

    Groupings by a column that this frame was built without are left out.

    Raises
    ------
    StudyError
        If a number is to be grouped without cuts, or a text with some.
    """
    found = {}
    for name, by in plan.by.items():
        if by.column == SITE and frame.sites is not None:
            found[name] = np.where(frame.sites == "", UNKNOWN, frame.sites).astype(object)
        elif by.column in frame.rows.columns:
            found[name] = _grouped(name, frame.rows[by.column], by)
    return found


def _grouped(name: str, values: pl.Series, by: Subgroup) -> np.ndarray:
    if values.dtype.is_numeric() != bool(by.cuts):
        raise StudyError(
            f"grouping {name}: numbers need cuts, and only they",
            where=by.column,
            got=f"{values.dtype} with {len(by.cuts)} cuts",
        )
    if not by.cuts:
        return values.cast(pl.String).fill_null(UNKNOWN).to_numpy().astype(object)
    cuts = [f"{cut:g}" for cut in by.cuts]
    between = (f"{low} to {high}" for low, high in pairwise(cuts))
    names = np.array([f"below {cuts[0]}", *between, f"{cuts[-1]} and above"], dtype=object)
    numbers = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return np.where(np.isnan(numbers), UNKNOWN, names[np.searchsorted(by.cuts, numbers, "right")
                                                      .clip(max=len(by.cuts))])  # fmt: skip


def subgroup_table(
    groups: Mapping[str, np.ndarray],
    truth: np.ndarray,
    probabilities: np.ndarray,
    covered: np.ndarray | None,
    *,
    min_patients: int,
    seed: int,
) -> pl.DataFrame:
    """Results by group, with intervals over the patients of the group.

    Parameters
    ----------
    groups
        From :func:`groups_of`, of the tested patients.
    truth : (n,) array of int
        Position of the true class.
    probabilities : (n, k) array
        Out-of-fold.
    covered : (n,) array of bool, optional
        Whether the prediction set holds the true class.
    min_patients
        Groups with fewer get nulls and ``too_few``.

    Returns
    -------
    ``grouping``, ``group``, ``patients``, ``too_few``; ``majority_share``, the share of the class
    that is most frequent among all; and ``accuracy``, ``difference`` (accuracy less that of all
    others) and ``coverage``, each with ``_low`` and ``_high``.
    """
    most_frequent = np.bincount(truth).argmax()
    right = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    weights = resamples(len(truth), seed)
    rows = []
    for grouping, names in groups.items():
        for group in sorted(set(names)):
            inside = names == group
            row: dict[str, object] = {
                "grouping": grouping,
                "group": group,
                "patients": int(inside.sum()),
                "too_few": bool(inside.sum() < min_patients),
            }
            if not row["too_few"]:
                row["majority_share"] = float((truth[inside] == most_frequent).mean())
                own = _mean(weights, right, inside)
                row |= _cells("accuracy", estimate(own))
                if not inside.all():
                    row |= _cells("difference", estimate(own - _mean(weights, right, ~inside)))
                if covered is not None:
                    held = _mean(weights, covered.astype(np.float64), inside)
                    row |= _cells("coverage", estimate(held))
            rows.append(row)
    numbers = [f"{m}{end}" for m in ("accuracy", "difference", "coverage") for end in _ENDS]
    schema = {
        "grouping": pl.String, "group": pl.String, "patients": pl.Int64, "too_few": pl.Boolean,
        "majority_share": pl.Float64, **dict.fromkeys(numbers, pl.Float64),
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema)


def bias_table(frame: Frame, groups: Mapping[str, np.ndarray]) -> pl.DataFrame:
    """What the data say of groups before any model: size, labels, missing assays.

    Returns
    -------
    One row per group: ``patients``; ``class_imbalance``, from -1 (everybody is in the group) to 1
    (nobody is); ``label_difference``, the largest difference between the share of a class in the
    group and among the others, with its ``label``; and ``performed[<modality>]``, the share of its
    patients with the assay.
    """
    labels = frame.rows["label"].to_numpy().astype(str)
    performed = {
        column.modality: frame.rows[name].to_numpy()
        for name, column in frame.sidecar.columns.items()
        if column.kind == "performed"
    }
    classes = np.unique(labels)
    rows = []
    for grouping, names in groups.items():
        for group in sorted(set(names)):
            inside = names == group
            n, others = int(inside.sum()), int((~inside).sum())
            row: dict[str, object] = {
                "grouping": grouping,
                "group": group,
                "patients": n,
                "class_imbalance": (others - n) / len(labels),
            }
            if others:
                gaps = np.array([(labels[inside] == c).mean() - (labels[~inside] == c).mean()
                                 for c in classes])  # fmt: skip
                largest = int(np.abs(gaps).argmax())
                row |= {"label_difference": float(gaps[largest]), "label": str(classes[largest])}
            row |= {f"performed[{m}]": float(had[inside].mean()) for m, had in performed.items()}
            rows.append(row)
    schema = {
        "grouping": pl.String, "group": pl.String, "patients": pl.Int64,
        "class_imbalance": pl.Float64, "label_difference": pl.Float64, "label": pl.String,
        **{f"performed[{modality}]": pl.Float64 for modality in performed},
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema)


_ENDS = ("", "_low", "_high")


def _mean(weights: np.ndarray, values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(resamples,) mean over the patients inside; NaN where a resample has none."""
    total = weights[:, inside].sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray((weights[:, inside] @ values[inside]) / total)


def _cells(metric: str, of: Estimate) -> dict[str, float]:
    return dict(zip((f"{metric}{end}" for end in _ENDS), of.as_list(), strict=True))
