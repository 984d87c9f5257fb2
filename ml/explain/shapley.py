"""Why a boosted model answers as it does: Shapley values of its trees, in log-odds.

    fitted pipeline, patients -> contributions -> Importance (cohort, class), Explained (patient)

LightGBM and XGBoost compute exact Shapley values of their own trees; a test holds them against the
package ``shap``. For every patient and class, base value and contributions add up to the score of
the model, which is checked on each call.

References
----------
Lundberg SM et al. From local explanations to global understanding with explainable AI for trees.
Nat Mach Intell 2020;2:56-67.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import lightgbm as lgb
import numpy as np
import pandas as pd
import polars as pl
import xgboost as xgb
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from ml.explain.names import BASE, OTHERS
from ml.pipelines.encoding import is_category
from oncoframe.columns import Column
from oncoframe.errors import StudyError

#: Features kept patient by patient; the sum of the others is kept, too, so that all still adds up.
TOP_FEATURES = 30
#: Largest difference between a score and the sum of its parts; boosters add up in single precision.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Contributions:
    """Shapley values of some patients.

    Parameters
    ----------
    features : (p,) list of str
        Columns of the design matrix. A text column is one of them, though the trees saw a flag per
        category: that a patient is female and that she is not male is one reason, not two.
    inputs : (n, p) array
        Values that the trees saw; NaN is missing, or text.
    values : (n, p, k) array of float32
        Log-odds that each feature adds for each class.
    base : (n, k) array
        Log-odds without any feature.
    texts
        Text column -> (n,) array of its values, ``None`` where it has none.
    """

    features: list[str]
    inputs: np.ndarray
    values: np.ndarray
    base: np.ndarray
    texts: Mapping[str, np.ndarray] = field(default_factory=dict)


def is_explainable(model: BaseEstimator) -> bool:
    """Whether a recipe ends in boosted trees of its own columns."""
    return (
        isinstance(model, Pipeline)
        and "components" not in model.named_steps
        and isinstance(
            getattr(model.named_steps["model"], "estimator", None),
            lgb.LGBMClassifier | xgb.XGBClassifier,
        )
    )


def contributions(model: Pipeline, features: pd.DataFrame, classes: np.ndarray) -> Contributions:
    """Shapley values of a fitted recipe for some patients.

    Parameters
    ----------
    model
        Of which :func:`is_explainable` is true.
    features : (n, p) data frame
        Of a design matrix.
    classes : (k,) array of str
        All classes, sorted; those that the model never saw have contributions of 0.

    Raises
    ------
    StudyError
        If the contributions do not add up to the score of the model.
    """
    inputs = np.asarray(model.named_steps["encode"].transform(features), dtype=np.float32)
    names = [str(name) for name in model.named_steps["encode"].get_feature_names_out()]
    weighted = model.named_steps["model"]
    trees = weighted.estimator_
    parts, score = (
        _xgboost(trees, inputs)
        if isinstance(trees, xgb.XGBClassifier)
        else (_lightgbm(trees, inputs))
    )
    error = float(np.abs(parts.sum(axis=1) - score).max())
    if error > _TOLERANCE * max(1.0, float(np.abs(score).max())):
        raise StudyError(
            "the contributions of the features do not add up to the score",
            expected=f"a difference below {_TOLERANCE}",
            got=f"{error:.2g}",
        )
    # What the class weights lifted is taken back from every answer, and so from its base value.
    lifted = np.log(weighted.lifted_)
    parts[:, -1] -= lifted if parts.shape[2] > 1 else lifted[1] - lifted[0]
    if parts.shape[2] == 1:
        # Two classes have one score: what speaks for the second speaks against the first.
        parts = np.concatenate([-parts, parts], axis=2)
    aligned = np.zeros((*parts.shape[:2], len(classes)), dtype=np.float32)
    aligned[:, :, np.searchsorted(classes, weighted.classes_)] = parts
    texts = {
        str(name): features[name].to_numpy().astype(str)
        for name in features.columns[is_category(features)]
    }
    return _by_column(Contributions(names, inputs, aligned[:, :-1], aligned[:, -1], texts))


def _by_column(part: Contributions) -> Contributions:
    """Contributions with the flags of each text column added up."""
    owners = [_owner(name, part.texts) for name in part.features]
    columns = list(dict.fromkeys(owners))
    if len(columns) == len(owners):
        return part
    place = {name: at for at, name in enumerate(columns)}
    inputs = np.full((len(part.inputs), len(columns)), np.nan, dtype=part.inputs.dtype)
    values = np.zeros((len(part.values), len(columns), part.values.shape[2]), part.values.dtype)
    for at, owner in enumerate(owners):
        values[:, place[owner]] += part.values[:, at]
        if owner not in part.texts:
            inputs[:, place[owner]] = part.inputs[:, at]
    return replace(part, features=columns, inputs=inputs, values=values)


def _owner(name: str, texts: Mapping[str, np.ndarray]) -> str:
    """Column that a feature of the trees belongs to; the longest name wins, as in reports."""
    return max((t for t in texts if name.startswith(f"{t}_")), key=len, default=name)


def _lightgbm(trees: lgb.LGBMClassifier, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, p + 1, k) parts, the base value last, and (n, k) scores."""
    n, p = inputs.shape
    booster = trees.booster_
    parts = np.asarray(booster.predict(inputs, pred_contrib=True))
    score = np.asarray(booster.predict(inputs, raw_score=True)).reshape(n, -1)
    return parts.reshape(n, -1, p + 1).transpose(0, 2, 1), score


def _xgboost(trees: xgb.XGBClassifier, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n, p = inputs.shape
    rows = xgb.DMatrix(inputs, nthread=1)
    booster = trees.get_booster()
    parts = np.asarray(booster.predict(rows, pred_contribs=True))
    score = np.asarray(booster.predict(rows, output_margin=True)).reshape(n, -1)
    return parts.reshape(n, -1, p + 1).transpose(0, 2, 1), score


@dataclass(frozen=True)
class Explanation:
    """Contributions to out-of-fold predictions: each patient by a model that never saw them.

    Parameters
    ----------
    importance
        ``feature``, ``modality``, ``class``, ``mean_abs_shap``: over all patients, the most
        important feature first.
    patients
        ``patient_id``, ``class``, ``feature``, ``value``, ``category`` (the value of a text
        column), ``shap``: the :data:`TOP_FEATURES` of the class, then ``(all others)`` and
        ``(base value)``, whose sum is its log-odds.
    """

    importance: pl.DataFrame
    patients: pl.DataFrame


def combine(
    parts: Sequence[tuple[np.ndarray, Contributions]],
    patient_ids: np.ndarray,
    classes: np.ndarray,
    views: Mapping[str, str],
) -> Explanation:
    """Explanation of a cohort from the contributions of its folds.

    Parameters
    ----------
    parts
        For each fold, the (n,) mask of its patients and their contributions; the features of folds
        may differ.
    patient_ids : (n,) array of str
    classes : (k,) array of str
    views
        Feature table -> modality.
    """
    totals: dict[str, np.ndarray] = {}
    explained = 0
    for tested, part in parts:
        explained += int(tested.sum())
        sums = np.abs(part.values).sum(axis=0, dtype=np.float64)
        for name, of_class in zip(part.features, sums, strict=True):
            totals[name] = totals.get(name, 0.0) + of_class
    ranked = sorted(totals, key=lambda name: (-totals[name].sum(), name))
    used = [name for name in ranked if totals[name].any()]
    importance = pl.DataFrame(
        {
            "feature": np.repeat(np.array(used, dtype=object), len(classes)),
            "modality": np.repeat(
                np.array([views.get(Column.parse(name).table) for name in used], dtype=object),
                len(classes),
            ),
            "class": np.tile(classes, len(used)),
            "mean_abs_shap": np.array([totals[name] / explained for name in used]).ravel(),
        },
        schema_overrides=dict.fromkeys(["feature", "modality", "class"], pl.String),
    )
    top = [
        sorted(used, key=lambda name, at=at: (-totals[name][at], name))[:TOP_FEATURES]  # type: ignore[misc]
        for at in range(len(classes))
    ]
    rows = [_patients(part, patient_ids[tested], classes, top) for tested, part in parts]
    return Explanation(importance, pl.concat(rows).sort("patient_id", maintain_order=True))


def _patients(
    part: Contributions, patient_ids: np.ndarray, classes: np.ndarray, top: Sequence[list[str]]
) -> pl.DataFrame:
    """Rows of some patients, each class with its own features ``top``."""
    position = {name: at for at, name in enumerate(part.features)}
    n = len(patient_ids)
    tables = []
    for at, (label, names) in enumerate(zip(classes, top, strict=True)):
        shap = np.zeros((n, len(names) + 2), dtype=np.float32)
        value = np.full((n, len(names) + 2), np.nan, dtype=np.float32)
        category = np.full((n, len(names) + 2), None, dtype=object)
        for place, name in enumerate(names):
            if name in part.texts:
                category[:, place] = part.texts[name]
            if name in position:
                shap[:, place] = part.values[:, position[name], at]
                value[:, place] = part.inputs[:, position[name]]
        shap[:, -2] = part.values[:, :, at].sum(axis=1) - shap[:, : len(names)].sum(axis=1)
        shap[:, -1] = part.base[:, at]
        tables.append(
            pl.DataFrame(
                {
                    "patient_id": np.repeat(patient_ids, len(names) + 2),
                    "class": [str(label)] * (n * (len(names) + 2)),
                    "feature": np.tile(np.array([*names, OTHERS, BASE], dtype=object), n),
                    "value": value.ravel(),
                    "category": pl.Series(category.ravel().tolist(), dtype=pl.String),
                    "shap": shap.ravel(),
                },
                schema_overrides={"patient_id": pl.String, "feature": pl.String},
            )
        )
    return pl.concat(tables).with_columns(pl.col("value").fill_nan(None))


@dataclass(frozen=True)
class Reason:
    """One feature of one patient, and what it adds to the log-odds of a class.

    Of a text column, the feature is ``<column>_<category>`` of the patient, and its value 1.
    """

    feature: str
    value: float | None
    shap: float


def reasons(
    model: Pipeline, patient: pd.DataFrame, classes: np.ndarray, label: str, *, count: int = 10
) -> list[Reason]:
    """The features that speak most for or against a class in one patient, strongest first.

    Parameters
    ----------
    patient : (1, p) data frame
        Of a design matrix.
    label
        The class.
    """
    part = contributions(model, patient, classes)
    added = part.values[0, :, int(np.searchsorted(classes, label))]
    order = np.argsort(-np.abs(added), kind="stable")[:count]
    return [
        _reason(part.features[at], part, at, float(added[at])) for at in order if added[at] != 0
    ]


def _reason(name: str, part: Contributions, at: int, added: float) -> Reason:
    if name in part.texts:
        return Reason(f"{name}_{part.texts[name][0]}", 1.0, added)
    value = float(part.inputs[0, at])
    return Reason(name, None if np.isnan(value) else value, added)
