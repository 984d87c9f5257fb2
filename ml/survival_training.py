"""Training of a survival study: every recipe on every modality set, on the same folds.

frame, study -> folds (stratified by death) -> out-of-fold risks -> concordance, permuted row
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, count
from pathlib import Path

import numpy as np
import polars as pl

from ml.admission import check_frame, with_assays
from ml.bootstrap import Estimate, estimate
from ml.design_matrix import design_matrix
from ml.folds import Folds, assign_folds
from ml.frame import read_frame
from ml.recipes import Input
from ml.study import Study
from ml.survival import (
    Times,
    build_survival,
    concordance,
    out_of_fold_risks,
    parse_times,
)
from ml.training import Progress


@dataclass(frozen=True)
class SurvivalModel:
    """One recipe on one modality set.

    Parameters
    ----------
    risks : (repeats, n) array
        Out of fold, ranked within the fold.
    resampled : (1 + resamples,) array
        Concordance, then its resamples, paired between the models of a training.
    permuted
        Concordance on shuffled times.
    """

    recipe: str
    modality_set: str
    modalities: tuple[str, ...]
    feature_count: int
    risks: np.ndarray
    resampled: np.ndarray
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
    """All recipes and modality sets of a survival study on one frame."""

    study: Study
    frame_id: str
    times: Times
    folds: Folds
    results: tuple[SurvivalModel, ...]

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
        }

    def predictions(self, model: SurvivalModel) -> pl.DataFrame:
        """One row per patient and repeat: fold, time, whether it is death, and the risk."""
        return pl.concat(
            pl.DataFrame(
                {
                    "patient_id": self.folds.patient_ids,
                    "repeat": repeat,
                    "fold": self.folds.test_fold[repeat],
                    "days": self.times.days,
                    "died": self.times.died,
                    "risk": risks,
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
    order = np.random.default_rng(seed).permutation(len(ids))
    shuffled = Times(times.days[order], times.died[order])
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
        risks = out_of_fold_risks(pipeline, matrix, times, folds, workers=workers, fold_done=done)
        permuted = None
        if study.permuted_labels:
            found = out_of_fold_risks(
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
                resampled=concordance(times.of(tested), risks[:, tested], seed=seed),
                permuted=permuted,
                seconds=time.perf_counter() - started,
            )
        )
    return SurvivalResult(study, frame.sidecar.frame_id, times, folds, tuple(results))


def _report(progress: Progress, fitted: "count[int]", total: int, what: str) -> Callable[[], None]:
    return lambda: progress(next(fitted), total, what)
