"""Hyper-parameter search within a training fold, by Optuna.

    training patients, space -> trials (inner cross-validation, pruned) -> settings, trial table

The search gets training patients only: what it chose is then judged on patients that neither the
model nor the choice has seen. Trials lie in an SQLite file, so a search that was cut off goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any, Literal, cast

import numpy as np
import optuna
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import accuracy_score, f1_score, log_loss

from ml.pipelines.inner_folds import aligned_probabilities, draw_by_class, spread
from ml.pipelines.recipes import Space
from ml.study.modelling import Search
from ml.training.results import Found, Trial
from oncoframe.errors import StudyError, TrainingStopped

optuna.logging.set_verbosity(optuna.logging.WARNING)

#: Trials drawn at random before earlier ones guide the search.
_RANDOM_TRIALS = 8
_DONE = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)

#: Attribute of a trial: the error by which the guard of its training ended it.
_STOPPED = "stopped"

_DATABASE = Lock()

#: Settings -> unfitted estimator.
Build = Callable[[Mapping[str, Any]], BaseEstimator]


@dataclass(frozen=True)
class Searcher:
    """A search that can be run on any training fold.

    Parameters
    ----------
    plan
        Budget, inner folds and objective.
    build
        Estimator of some settings.
    space
        What may change.
    seed
        Of the draws and the inner folds.
    database
        SQLite file of the trials; None keeps them in memory.
    prefix
        What all names of searches in it start with: frame, recipe, modality set.
    start
        Settings of the first trial.
    """

    plan: Search
    build: Build
    space: Space
    seed: int
    database: Path | None = None
    prefix: str = ""
    start: Mapping[str, Any] = field(default_factory=dict)

    def run(
        self, name: str, features: pd.DataFrame, labels: np.ndarray, classes: np.ndarray
    ) -> Found:
        """Search on training patients.

        Parameters
        ----------
        name
            Of the training fold; a search of that name in the database goes on where it stopped.
        features : (n, p) data frame
            Training patients.
        labels : (n,) array of str
            Their classes.
        classes : (k,) array of str
            All classes, sorted.
        """
        where = f"{self.prefix}{name}"
        study, kept = self._study(), self._kept(where)
        if kept is not None:
            study.add_trials([trial for trial in kept.trials if trial.state in _DONE])
        if self.start and not study.trials:
            study.enqueue_trial(dict(self.start))
        missing = self.plan.trials - sum(trial.state in _DONE for trial in study.trials)
        # A search that goes on draws other settings than the ones it has seen.
        study.sampler = optuna.samplers.TPESampler(
            seed=self.seed + len(study.trials), n_startup_trials=_RANDOM_TRIALS
        )
        drawn = draw_by_class(labels, self.plan.patients or len(labels), self.seed)
        inner = _Inner(self, features[drawn], labels[drawn], classes)
        if missing > 0:
            study.optimize(
                inner.objective,
                n_trials=missing,
                timeout=self.plan.seconds,
                callbacks=[] if kept is None else [partial(_keep, kept)],
            )
        done = [trial for trial in study.trials if trial.state in _DONE]
        if all(_STOPPED in trial.user_attrs for trial in done):
            raise StudyError(
                "every trial of the search was ended by its guard",
                where=name,
                got=", ".join(sorted({trial.user_attrs[_STOPPED] for trial in done})),
            )
        return Found(dict(study.best_trial.params), tuple(_trial(where, trial) for trial in done))

    def _study(self) -> optuna.Study:
        """Study in memory: SQLite would be written, and waited for, at each step of a trial."""
        return optuna.create_study(
            direction=self._direction,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=0),
        )

    def _kept(self, where: str) -> optuna.Study | None:
        """The same study in the database, with the trials of earlier runs."""
        if self.database is None:
            return None
        with _DATABASE:
            return optuna.create_study(
                storage=_storage(self.database.resolve()),
                study_name=where,
                direction=self._direction,
                load_if_exists=True,
            )

    @property
    def _direction(self) -> Literal["minimize", "maximize"]:
        return "minimize" if self.plan.objective == "log_loss" else "maximize"


@cache
def _storage(database: Path) -> optuna.storages.RDBStorage:
    database.parent.mkdir(parents=True, exist_ok=True)
    return optuna.storages.RDBStorage(f"sqlite:///{database}")


def _keep(kept: optuna.Study, _: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """Write a finished trial; folds are searched side by side, SQLite has one writer."""
    with _DATABASE:
        kept.add_trial(trial)


class _Inner:
    """The inner cross-validation of one search."""

    def __init__(
        self, searcher: Searcher, features: pd.DataFrame, labels: np.ndarray, classes: np.ndarray
    ) -> None:
        self.searcher = searcher
        self.features = features
        self.labels = labels
        self.classes = classes
        self.fold = spread(labels, searcher.plan.inner_folds, searcher.seed)

    def objective(self, trial: optuna.Trial) -> float:
        """Mean of the objective over the inner folds; given up when behind the median."""
        recipe = self.searcher.build(_draw(trial, self.searcher.space))
        values = []
        for held_out in range(self.searcher.plan.inner_folds):
            try:
                values.append(self._score(recipe, self.fold == held_out))
            except TrainingStopped as error:
                trial.set_user_attr(_STOPPED, error.name)
                raise optuna.TrialPruned from error
            trial.report(float(np.mean(values)), held_out)
            if held_out + 1 < self.searcher.plan.inner_folds and trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(values))

    def _score(self, recipe: BaseEstimator, tested: np.ndarray) -> float:
        model = clone(recipe).fit(self.features[~tested], self.labels[~tested])
        predicted = aligned_probabilities(model, self.features[tested], self.classes)
        truth = self.labels[tested]
        match self.searcher.plan.objective:
            case "log_loss":
                smoothed = np.clip(predicted, 1e-6, None)
                smoothed /= smoothed.sum(axis=1, keepdims=True)
                return float(log_loss(truth, smoothed, labels=self.classes))
            case "accuracy":
                return float(accuracy_score(truth, self.classes[predicted.argmax(axis=1)]))
            case _:
                answers = self.classes[predicted.argmax(axis=1)]
                return float(f1_score(truth, answers, average="macro", zero_division=0))


def _draw(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, allowed in space.items():
        if isinstance(allowed[0], str):
            settings[name] = trial.suggest_categorical(name, allowed)
            continue
        low, high, log = cast("tuple[float, float, bool]", allowed)
        if isinstance(low, int) and isinstance(high, int):
            settings[name] = trial.suggest_int(name, low, high, log=log)
        else:
            settings[name] = trial.suggest_float(name, low, high, log=log)
    return settings


def _trial(where: str, trial: optuna.trial.FrozenTrial) -> Trial:
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    value = trial.value if trial.value is not None else float("nan")
    if trial.state is optuna.trial.TrialState.PRUNED and trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
    state = trial.user_attrs.get(_STOPPED, trial.state.name.lower())
    return Trial(where, trial.number, dict(trial.params), float(value), state, seconds)
