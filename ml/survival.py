"""Models of how long: Cox regression and accelerated failure times, judged by concordance.

    labels (``872``, ``1095+``) -> times -> recipe (cox, aft) in folds -> risks -> concordance

A risk orders patients: the higher, the sooner. Patients who were alive at their last contact take
part as that; none is left out and none is counted as cured.

References
----------
Simon N et al. Regularization paths for Cox's proportional hazards model. J Stat Softw 2011;39:5.
Barnwal A et al. Survival regression with accelerated failure time model in XGBoost. J Comput Graph
Stat 2022;31:1292. Harrell FE et al. Evaluating the yield of medical tests. JAMA 1982;247:2543.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import xgboost as xgb
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ml.bootstrap import resamples
from ml.design_matrix import DesignMatrix
from ml.encoding import dense_encoder
from ml.folds import Fold, FoldDone, Folds, check_patients, cross_validate
from ml.plan import Recipe
from ml.recipes import Input
from oncoframe.errors import StudyError

#: Elastic net of the Cox model: strength, and share of the absolute penalty.
_COX: dict[str, Any] = {"alpha": 0.1, "l1_ratio": 0.5}
_AFT = {
    "max_depth": 2,
    "eta": 0.05,
    "rounds": 120,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "aft_loss_distribution_scale": 1.0,
}


@dataclass(frozen=True)
class Times:
    """What is known of how long patients lived.

    Parameters
    ----------
    days : (n,) array of float
        To death, or to the last contact.
    died : (n,) array of bool
        Whether it is death.
    """

    days: np.ndarray
    died: np.ndarray

    def strata(self) -> np.ndarray:
        """(n,) array of str by which folds are stratified."""
        return np.where(self.died, "died", "alive").astype(object)

    def of(self, patients: np.ndarray) -> "Times":
        """Of some of the patients."""
        return Times(self.days[patients], self.died[patients])


def parse_times(labels: np.ndarray) -> Times:
    """Times of survival labels: days, with ``+`` behind them where the patient was alive.

    Raises
    ------
    StudyError
        If a label is no such time.
    """
    try:
        days = np.array([float(str(label).removesuffix("+")) for label in labels])
    except ValueError as error:
        raise StudyError("a label is no survival time", expected="days such as 872 or 1095+") from (
            error
        )
    if not (np.isfinite(days) & (days > 0)).all():
        raise StudyError("a survival time is not above 0")
    return Times(days, np.array([not str(label).endswith("+") for label in labels]))


class CoxModel(BaseEstimator):  # type: ignore[misc]
    """Cox regression with an elastic net, by scikit-survival.

    Parameters
    ----------
    alpha, l1_ratio
        Strength of the penalty, and the share of its absolute part.
    """

    def __init__(self, *, alpha: float = 0.1, l1_ratio: float = 0.5) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio

    def fit(self, X: np.ndarray, y: Times) -> Self:  # noqa: N803, sklearn's name
        """Fit on scaled columns without gaps."""
        # Takes a second to load, which a training for classes does not spend.
        from sksurv.linear_model import CoxnetSurvivalAnalysis  # noqa: PLC0415
        from sksurv.util import Surv  # noqa: PLC0415

        varies = np.asarray(X).std(axis=0) > 0
        self.columns_ = np.flatnonzero(varies)
        self.model_ = CoxnetSurvivalAnalysis(
            alphas=[self.alpha], l1_ratio=self.l1_ratio, max_iter=10_000
        ).fit(np.asarray(X, dtype=np.float64)[:, varies], Surv.from_arrays(y.died, y.days))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803, sklearn's name
        """(n,) log hazard ratios."""
        check_is_fitted(self)
        return np.asarray(self.model_.predict(np.asarray(X, dtype=np.float64)[:, self.columns_]))


class AftModel(BaseEstimator):  # type: ignore[misc]
    """Boosted trees for the logarithm of the time, by XGBoost.

    Parameters
    ----------
    settings
        Of XGBoost, and ``rounds``, the number of trees.
    random_state
        Of the patient and column draws.
    """

    def __init__(self, *, settings: dict[str, Any], random_state: int = 0) -> None:
        self.settings = settings
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: Times) -> Self:  # noqa: N803, sklearn's name
        """Fit; a censored time lies anywhere above the last contact."""
        rows = xgb.DMatrix(X, nthread=1)
        rows.set_float_info("label_lower_bound", y.days)
        rows.set_float_info("label_upper_bound", np.where(y.died, y.days, np.inf))
        settings = {
            "objective": "survival:aft", "aft_loss_distribution": "normal", "nthread": 1,
            "seed": self.random_state, **self.settings,
        }  # fmt: skip
        rounds = int(settings.pop("rounds"))
        self.model_ = xgb.train(settings, rows, num_boost_round=rounds)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803, sklearn's name
        """(n,) risks: the logarithm of the expected time, turned around."""
        check_is_fitted(self)
        days = self.model_.predict(xgb.DMatrix(X, nthread=1))
        return np.asarray(-np.log(days))


def build_survival(recipe: Recipe, *, seed: int, given: Input) -> Pipeline:
    """Unfitted pipeline of a survival recipe."""
    encode = ("encode", dense_encoder(counts=given.counts, select=recipe.select))
    if recipe.model == "cox":
        return Pipeline([encode, ("model", CoxModel(**{**_COX, **recipe.options}))])
    settings = {**_AFT, **recipe.options}
    return Pipeline([encode, ("model", AftModel(settings=settings, random_state=seed))])


def out_of_fold_risks(
    recipe: Pipeline,
    matrix: DesignMatrix,
    times: Times,
    folds: Folds,
    *,
    workers: int = 1,
    fold_done: FoldDone = lambda: None,
) -> np.ndarray:
    """(repeats, n) risks by models that never saw the patient, ranked within each fold.

    Ranks from 0 to 1: the scale of a risk is that of its own model, so patients of two folds are
    compared by where they stand in theirs.
    """
    check_patients(matrix, folds)

    def fit(fold: Fold) -> np.ndarray:
        model = clone(recipe).fit(matrix.features[fold.train], times.of(fold.train))
        risks = model.predict(matrix.features[fold.test])
        below = (risks[:, None] > risks).sum(axis=1) + (risks[:, None] == risks).sum(axis=1) / 2
        return np.asarray(below / len(risks))

    risks = np.full(folds.test_fold.shape, np.nan)
    for fold, predicted in cross_validate(folds, fit, workers=workers, fold_done=fold_done):
        risks[fold.repeat, fold.test] = predicted
    return risks


def concordance(times: Times, risks: np.ndarray, *, seed: int) -> np.ndarray:
    """(1 + resamples,) share of comparable pairs in right order, mean over repeats.

    A pair is comparable if the one with the shorter time died; equal risks are half right.

    Parameters
    ----------
    risks : (repeats, n) array
    seed
        Of the bootstrap; for :func:`ml.bootstrap.estimate`.
    """
    weights = resamples(len(times.days), seed).astype(np.float64)
    longer = times.days[:, None] < times.days
    # Alive on the day on which the other died is longer, too.
    longer |= (times.days[:, None] == times.days) & ~times.died
    comparable = longer & times.died[:, None]
    pairs = ((weights @ comparable) * weights).sum(axis=1)
    right = np.zeros(len(weights))
    for of_repeat in risks:
        order = (of_repeat[:, None] > of_repeat) + (of_repeat[:, None] == of_repeat) / 2
        right += ((weights @ (comparable * order)) * weights).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(right / pairs / len(risks))
