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

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, count
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import xgboost as xgb
from scipy.stats import gumbel_l, logistic, norm
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ml.evaluation.survival import survival_grid
from ml.frames.design_matrix import DesignMatrix, design_matrix
from ml.frames.frame import read_frame
from ml.intervals import Estimate, estimate, resamples
from ml.pipelines.encoding import dense_encoder
from ml.pipelines.recipes import Input
from ml.study.definition import Study
from ml.study.modelling import Recipe
from ml.training.classification import Progress
from ml.training.eligibility import check_frame, complete, too_few, with_assays
from ml.training.folds import Fold, FoldDone, Folds, assign_folds, check_patients, cross_validate
from ml.training.procedure import JUDGED_REPEAT
from ml.training.results import CompleteCases
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
#: Distributions of XGBoost's accelerated failure times, by their names there.
_SPREADS = {"normal": norm, "logistic": logistic, "extreme": gumbel_l}


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
            alphas=[self.alpha], l1_ratio=self.l1_ratio, max_iter=10_000, fit_baseline_model=True
        ).fit(np.asarray(X, dtype=np.float64)[:, varies], Surv.from_arrays(y.died, y.days))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803, sklearn's name
        """(n,) log hazard ratios."""
        check_is_fitted(self)
        return np.asarray(self.model_.predict(np.asarray(X, dtype=np.float64)[:, self.columns_]))

    def survival(self, X: np.ndarray, days: np.ndarray) -> np.ndarray:  # noqa: N803, as above
        """(n, t) predicted survival; after the last day of the training patients, that of it."""
        check_is_fitted(self)
        curves = self.model_.predict_survival_function(
            np.asarray(X, dtype=np.float64)[:, self.columns_]
        )
        return np.array([curve(np.clip(days, *curve.domain)) for curve in curves])


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
        return -self._logs(X)

    def survival(self, X: np.ndarray, days: np.ndarray) -> np.ndarray:  # noqa: N803, as above
        """(n, t) predicted survival: logarithms of times, spread as assumed about the expected."""
        check_is_fitted(self)
        scale = float(self.settings.get("aft_loss_distribution_scale", 1.0))
        spread = _SPREADS[str(self.settings.get("aft_loss_distribution", "normal"))]
        return np.asarray(spread.sf((np.log(days) - self._logs(X)[:, np.newaxis]) / scale))

    def _logs(self, X: np.ndarray) -> np.ndarray:  # noqa: N803, as above
        return np.asarray(np.log(self.model_.predict(xgb.DMatrix(X, nthread=1))))


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
    days: np.ndarray | None = None,
    workers: int = 1,
    fold_done: FoldDone = lambda: None,
) -> tuple[np.ndarray, np.ndarray]:
    """(repeats, n) risks and (n, t) survival by models that never saw the patient.

    Risks are ranks from 0 to 1 within each fold: the scale of a risk is that of its own model, so
    patients of two folds are compared by where they stand in theirs.

    Parameters
    ----------
    days : (t,) array, optional
        For which survival is predicted, in the first repeat; none unless told.
    """
    check_patients(matrix, folds)
    asked = np.zeros(0) if days is None else days

    def fit(fold: Fold) -> tuple[np.ndarray, np.ndarray]:
        model = clone(recipe).fit(matrix.features[fold.train], times.of(fold.train))
        tested = matrix.features[fold.test]
        risks = model.predict(tested)
        below = (risks[:, None] > risks).sum(axis=1) + (risks[:, None] == risks).sum(axis=1) / 2
        known = np.zeros((len(risks), 0))
        if fold.repeat == JUDGED_REPEAT and len(asked):
            known = model[-1].survival(model[:-1].transform(tested), asked)
        return np.asarray(below / len(risks)), known

    risks = np.full(folds.test_fold.shape, np.nan)
    survival = np.full((folds.test_fold.shape[1], len(asked)), np.nan)
    for fold, (ranked, known) in cross_validate(folds, fit, workers=workers, fold_done=fold_done):
        risks[fold.repeat, fold.test] = ranked
        if fold.repeat == JUDGED_REPEAT:
            survival[fold.test] = known
    return risks, survival


def concordance(times: Times, risks: np.ndarray, *, seed: int) -> np.ndarray:
    """(1 + resamples,) share of comparable pairs in right order, mean over repeats.

    A pair is comparable if the one with the shorter time died; equal risks are half right.

    Parameters
    ----------
    risks : (repeats, n) array
    seed
        Of the bootstrap; for :func:`ml.intervals.estimate`.
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


@dataclass(frozen=True)
class SurvivalModel:
    """One recipe on one modality set.

    Parameters
    ----------
    risks : (repeats, n) array
        Out of fold, ranked within the fold.
    survival : (n, t) array
        Out of fold, in the first repeat, at the days of the result's grid.
    resampled : (1 + resamples,) array
        Concordance, then its resamples, paired between the models of a training.
    complete : (1 + resamples,) array, optional
        The same of the patients who had every assay.
    permuted
        Concordance on shuffled times.
    """

    recipe: str
    modality_set: str
    modalities: tuple[str, ...]
    feature_count: int
    risks: np.ndarray
    survival: np.ndarray
    resampled: np.ndarray
    complete: np.ndarray | None
    permuted: Estimate | None
    seconds: float

    @property
    def name(self) -> str:
        """How tables and runs call it."""
        return f"{self.recipe} on {self.modality_set}"

    @property
    def concordance(self) -> Estimate:
        """Concordance with its interval."""
        return estimate(self.resampled)

    def complete_row(self) -> dict[str, object]:
        """One row of the table of patients who had every assay."""
        value, low, high = estimate(np.asarray(self.complete)).as_list()
        return {
            "recipe": self.recipe,
            "modalities": self.modality_set,
            "concordance": value,
            "concordance_ci": [low, high],
        }

    def summary(self, deaths: int) -> dict[str, object]:
        """One row of the result table."""
        value = self.concordance
        return {
            "recipe": self.recipe,
            "modalities": self.modality_set,
            "uses": list(self.modalities),
            "patients": self.risks.shape[1],
            "deaths": deaths,
            "features": self.feature_count,
            "concordance": value.value,
            "concordance_ci": [value.low, value.high],
            "permuted_concordance": None if self.permuted is None else self.permuted.as_list(),
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True)
class SurvivalResult:
    """All recipes and modality sets of a survival study on one frame.

    Parameters
    ----------
    grid : (t,) array
        Days for which survival is predicted.
    """

    study: Study
    frame_id: str
    times: Times
    folds: Folds
    grid: np.ndarray
    results: tuple[SurvivalModel, ...]
    complete: CompleteCases

    @property
    def best(self) -> SurvivalModel:
        """Highest concordance."""
        return max(self.results, key=lambda model: model.concordance.value)

    def differences(self) -> list[dict[str, object]]:
        """Every model against every later one, paired."""
        return [
            {
                "one": one.name,
                "other": other.name,
                "concordance": estimate(one.resampled - other.resampled).as_list(),
                "concordance_complete": None
                if one.complete is None or other.complete is None
                else estimate(one.complete - other.complete).as_list(),
            }
            for one, other in combinations(self.results, 2)
        ]

    def as_dict(self) -> dict[str, object]:
        """Content of the ``--json`` line of ``oncoframe train``."""
        deaths = int(self.times.died.sum())
        return {
            "study": self.study.name,
            "frame_id": self.frame_id,
            "best": self.best.summary(deaths),
            "recipes": [model.summary(deaths) for model in self.results],
            "complete_cases": self.complete.as_dict(
                [model.complete_row() for model in self.results if model.complete is not None]
            ),
        }

    def predictions(self, model: SurvivalModel) -> pl.DataFrame:
        """One row per patient and repeat: fold, time, whether it is death, and the risk.

        In the first repeat also ``survival``, a list of one value per day of the grid.
        """
        return pl.concat(
            pl.DataFrame(
                {
                    "patient_id": self.folds.patient_ids,
                    "repeat": repeat,
                    "fold": self.folds.test_fold[repeat],
                    "days": self.times.days,
                    "died": self.times.died,
                    "risk": risks,
                    "survival": pl.Series(
                        model.survival.tolist() if repeat == JUDGED_REPEAT else [None] * len(risks),
                        dtype=pl.List(pl.Float64),
                    ),
                }
            )
            for repeat, risks in enumerate(model.risks)
        )


def train_survival(
    study: Study,
    frame_dir: Path,
    *,
    workers: int = 1,
    progress: Progress = lambda _done, _total, _what: None,
) -> SurvivalResult:
    """Cross-validate every recipe of a survival study on every modality set.

    Raises
    ------
    StudyError
        If the frame is not one of this study, or a label is no survival time.
    """
    frame = read_frame(frame_dir)
    check_frame(frame, study)
    study = with_assays(study, frame)
    plan, seed = study.cross_validation, study.cross_validation.seed
    times = parse_times(frame.rows["label"].to_numpy())
    ids = frame.rows["patient_id"].to_numpy()
    moments = frame.rows["index_timestamp"].to_numpy()
    folds = assign_folds(ids, times.strata(), plan, sites=frame.sites, times=moments)
    tested = folds.tested
    has_all, assays = complete(frame, study)
    has_all &= tested
    cases = CompleteCases(int(has_all.sum()), assays, reason=too_few(int(has_all.sum()), study))
    order = np.random.default_rng(seed).permutation(len(ids))
    shuffled = Times(times.days[order], times.died[order])
    grid = survival_grid(times.days[tested], times.died[tested])
    given = Input(frame.sidecar.views, frame.sidecar.has_counts)
    pairs = study.pairs()
    total = len(pairs) * len(folds) * (1 + bool(study.permuted_labels))
    fitted = count(1)
    results = []
    for recipe, name in pairs:
        started = time.perf_counter()
        matrix = design_matrix(frame, study.modality_sets[name], exclude=study.features.exclude)
        pipeline = build_survival(recipe, seed=seed, given=given)
        done = _report(progress, fitted, total, f"{recipe.name} on {name}")
        risks, survival = out_of_fold_risks(
            pipeline, matrix, times, folds, days=grid, workers=workers, fold_done=done
        )
        permuted = None
        if study.permuted_labels:
            found, _ = out_of_fold_risks(
                pipeline, matrix, shuffled, folds, workers=workers, fold_done=done
            )
            permuted = estimate(concordance(shuffled.of(tested), found[:, tested], seed=seed))
        results.append(
            SurvivalModel(
                recipe=recipe.name,
                modality_set=name,
                modalities=study.modality_sets[name],
                feature_count=matrix.features.shape[1],
                risks=risks,
                survival=survival,
                resampled=concordance(times.of(tested), risks[:, tested], seed=seed),
                complete=None
                if cases.reason
                else concordance(times.of(has_all), risks[:, has_all], seed=seed),
                permuted=permuted,
                seconds=time.perf_counter() - started,
            )
        )
    return SurvivalResult(study, frame.sidecar.frame_id, times, folds, grid, tuple(results), cases)


def _report(progress: Progress, fitted: "count[int]", total: int, what: str) -> Callable[[], None]:
    return lambda: progress(next(fitted), total, what)
