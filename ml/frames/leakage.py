r"""Guards: what may not get into a frame, and what looks as if it should not.

    columns, label, measurements -> refused (StudyError) | verdict for the sidecar

Refused are columns known only after the index event, the label as a feature, and rows measured in
different ways. Reported is a single column that separates a class too well: a leak, or a finding
that defines the class (PML::RARA and promyelocytic leukaemia); only a person can tell which.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from ml.frames.frame import FrameColumn
from ml.study.definition import Guards
from oncoframe.contracts import Known
from oncoframe.errors import StudyError

#: Folds of the single-column test.
FOLDS = 5
#: Quantiles that cut a number into bins; a value equal to a quantile has a bin of its own.
_QUANTILES = np.linspace(0, 1, 17)[1:-1]
_SEED = 20240601


@dataclass(frozen=True)
class Suspect:
    """A column that tells a class too well.

    Parameters
    ----------
    column
        Frame column.
    label
        The class it tells best from all others.
    auc
        Out-of-fold area under the ROC curve, that class against the others.
    """

    column: str
    label: str
    auc: float


def refuse_late_columns(columns: Mapping[str, FrameColumn], *, where: str) -> None:
    """Refuse columns known only after the index event.

    Raises
    ------
    StudyError
        If there are any; it names each.
    """
    late = sorted(name for name, column in columns.items() if column.known is Known.AFTER_INDEX)
    if late:
        raise StudyError(
            "columns known only after the index event cannot be features",
            where=where,
            got=", ".join(late),
        )


def refuse_label_columns(
    rows: pl.DataFrame, columns: Mapping[str, FrameColumn], *, label_name: str, where: str
) -> None:
    """Refuse the label among the features, by its name or by its values.

    Parameters
    ----------
    rows
        Column ``label`` and the feature columns.
    columns
        What the feature columns mean.
    label_name
        What the label is called in the labels table.

    Raises
    ------
    StudyError
        If there are any; it names each.
    """
    label = rows["label"].cast(pl.String)
    copies = [
        name
        for name, column in columns.items()
        if column.feature == label_name
        or (rows[name].dtype == pl.String and label.equals(rows[name], check_names=False))
    ]
    if copies:
        raise StudyError(
            f"the label {label_name} cannot be a feature", where=where, got=", ".join(copies)
        )


def refuse_mixed(
    tables: Mapping[str, pl.DataFrame], same: Sequence[str], *, where: str
) -> dict[str, str | None]:
    """Refuse rows that were measured in different ways.

    Parameters
    ----------
    tables
        Feature table -> rows that the frame was joined from.
    same
        Columns that must have one value, over all tables that have them. Null says nothing.

    Returns
    -------
    Column -> its one value, None where no row says.

    Raises
    ------
    StudyError
        If a column has two values; it says which, in which table, in how many rows.
    """
    found: dict[str, str | None] = {}
    for column in same:
        counts = {
            (str(value), table): count
            for table, rows in tables.items()
            if column in rows.columns
            for value, count in rows[column].drop_nulls().value_counts(sort=True).iter_rows()
        }
        values = sorted({value for value, _ in counts})
        if len(values) > 1:
            listed = (f"{value} ({n} rows of {table})" for (value, table), n in counts.items())
            raise StudyError(
                f"a frame cannot mix values of {column}",
                where=where,
                expected="one",
                got=", ".join(listed),
                hint="Take a modality or the differing patients out, or measure them in one way.",
            )
        found[column] = values[0] if values else None
    return found


def verdict(
    rows: pl.DataFrame, columns: Mapping[str, FrameColumn], rules: Guards, same: Mapping[str, Any]
) -> dict[str, Any]:
    """What the guards say of a frame that they let pass; part of the sidecar.

    Blocks are not asked position by position: whether their assay was performed is.

    Parameters
    ----------
    rows
        Column ``label`` and the feature columns.
    columns
        Columns that a model may see.
    same
        What :func:`refuse_mixed` returned.
    """
    asked = [n for n, column in columns.items() if column.kind not in ("block", "setting")]
    suspects = suspected_leaks(
        rows.select("label", *asked),
        threshold=rules.suspect_auc,
        min_patients=rules.suspect_min_patients,
    )
    return {
        "verdict": "suspected leakage" if suspects else "passed",
        "same": dict(same),
        "columns_tested": len(asked),
        "suspect_auc": rules.suspect_auc,
        "suspected_leakage": [asdict(suspect) for suspect in suspects],
    }


def suspected_leaks(rows: pl.DataFrame, *, threshold: float, min_patients: int) -> list[Suspect]:
    """Columns that alone tell a class from all others, best first.

    Parameters
    ----------
    rows
        Column ``label`` and one column per feature: numbers, flags, text or times.
    threshold
        Smallest area under the curve that is reported.
    min_patients
        Classes with fewer patients are not asked for.
    """
    names, labels = np.unique(rows["label"].cast(pl.String).to_numpy(), return_inverse=True)
    common = np.bincount(labels) >= min_patients
    suspects = []
    for column in rows.drop("label"):
        auc = np.where(common, single_column_auc(column, labels), 0.0)
        best = int(auc.argmax())
        if auc[best] >= threshold:
            suspects.append(Suspect(column.name, str(names[best]), round(float(auc[best]), 4)))
    return sorted(suspects, key=lambda suspect: (-suspect.auc, suspect.column))


def single_column_auc(column: pl.Series, labels: np.ndarray) -> np.ndarray:
    """Cross-validated AUC of one column for each class against the others.

    A patient's score is the share of the class among the training patients in the same bin:
    quantiles of a number, a category of text, and one bin for what is missing. So a U-shaped
    column, a category and the mere absence of a value count as well as a trend.

    Parameters
    ----------
    column : (n,) series
    labels : (n,) array of int
        Class of each patient, from zero without gaps.

    Returns
    -------
    (classes,) array; pairs of patients are counted within folds, 0.5 where there are none.
    """
    classes = int(labels.max()) + 1
    fold = _folds(labels)
    correct, pairs = np.zeros(classes), np.zeros(classes)
    for held_out in range(FOLDS):
        train = fold != held_out
        bins = _bins(column, train)
        size = int(bins.max()) + 1
        learned = _counts(bins[train], labels[train], size, classes)
        tested = _counts(bins[~train], labels[~train], size, classes)
        seen = learned.sum(axis=1, keepdims=True)
        share = learned.sum(axis=0) / max(1, train.sum())
        # One patient of average class in every bin: a bin of one patient is no certainty.
        right, of = _ranked((learned + share) / (seen + 1), tested)
        correct += right
        pairs += of
    return np.where(pairs > 0, correct / np.maximum(pairs, 1), 0.5)


def _folds(labels: np.ndarray) -> np.ndarray:
    """Fold of each patient; every class is spread over the folds as evenly as it can be."""
    shuffled = np.random.default_rng(_SEED).permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = np.arange(len(labels)) % FOLDS
    return fold


def _bins(column: pl.Series, train: np.ndarray) -> np.ndarray:
    """(n,) bin of each value, one for null; numbers are cut at quantiles of training patients."""
    if column.dtype == pl.String:
        return column.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    values = column.to_physical().cast(pl.Float64).to_numpy()
    known = np.isfinite(values)
    learned = values[train & known]
    cuts = np.unique(np.quantile(learned, _QUANTILES)) if len(learned) else np.empty(0)
    bins = np.searchsorted(cuts, values, "left") + np.searchsorted(cuts, values, "right")
    return np.where(known, bins, 2 * len(cuts) + 1)


def _counts(bins: np.ndarray, labels: np.ndarray, size: int, classes: int) -> np.ndarray:
    """(size, classes) number of patients."""
    counted = np.bincount(bins * classes + labels, minlength=size * classes)
    return counted.reshape(size, classes).astype(np.float64)


def _ranked(scores: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(classes,) pairs of a patient in and one out of the class in right order, and of all."""
    out = counts.sum(axis=1, keepdims=True) - counts
    pairs = counts.sum(axis=0) * out.sum(axis=0)
    # Equal scores are half right: the mean of counting them in one order and in the other.
    right = np.zeros(scores.shape[1])
    for rows in (slice(None), slice(None, None, -1)):
        order = np.argsort(scores[rows], axis=0, kind="stable")
        inside = np.take_along_axis(counts[rows], order, axis=0)
        outside = np.take_along_axis(out[rows], order, axis=0)
        right += (inside * (np.cumsum(outside, axis=0) - outside / 2)).sum(axis=0) / 2
    return right, pairs
