"""Champion against challenger, on the same patients, none of whom either has learned from.

    challenger's frame, out-of-fold predictions of both, champion's model -> challenge -> Challenge

The challenger answers with its stored out-of-fold predictions. The champion does so for patients of
its own frame, as they were measured then; newcomers are asked of its model. Who was in the frame
of a model but in none of its test folds is left out: every model of it has seen that patient.
Without a champion the challenger is held against always naming the most frequent class.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ml.evaluation.calibration import CalibrationSummary, calibration
from ml.evaluation.metrics import difference, evaluate
from ml.evaluation.subgroups import groups_of
from ml.frames.frame import Frame
from ml.intervals import Estimate, estimate, resamples
from ml.serving.model import ServedModel
from ml.training.procedure import JUDGED_REPEAT
from ml.training.stored import StoredModel, StoredTraining, read_table
from oncoframe.errors import StudyError

#: Metrics that a model is released by.
COMPARED = ("log_loss", "accuracy", "macro_f1")


@dataclass(frozen=True)
class Comparison:
    """Two models on the same patients.

    Parameters
    ----------
    patients
        Number of them.
    challenger, champion, difference
        Metric of :data:`COMPARED` -> value with its interval; differences are paired.
    calibration_challenger, calibration_champion
        Of the probabilities; the most frequent class has none.
    """

    patients: int
    challenger: Mapping[str, Estimate]
    champion: Mapping[str, Estimate]
    difference: Mapping[str, Estimate]
    calibration_challenger: CalibrationSummary
    calibration_champion: CalibrationSummary | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "patients": self.patients,
            **{
                who: {name: of.as_list() for name, of in getattr(self, who).items()}
                for who in ("challenger", "champion", "difference")
            },
            "calibration": {
                "challenger": self.calibration_challenger.as_dict(),
                "champion": self.calibration_champion and self.calibration_champion.as_dict(),
            },
        }


@dataclass(frozen=True)
class GroupComparison:
    """Accuracy of two models in one subgroup; the difference is paired."""

    grouping: str
    group: str
    patients: int
    challenger: float
    champion: float
    difference: Estimate

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "grouping": self.grouping, "group": self.group, "patients": self.patients,
            "challenger": self.challenger, "champion": self.champion,
            "difference": self.difference.as_list(),
        }  # fmt: skip


@dataclass(frozen=True)
class Challenge:
    """Champion against challenger.

    Parameters
    ----------
    has_champion
        False: the challenger is held against the most frequent class.
    left_out
        Patients of the challenger's frame that one of the models has learned from.
    newcomers
        Patients who are not in the champion's frame.
    overall
        On all patients.
    on_newcomers
        On those only; None where they are too few.
    groups
        Subgroups of enough patients.
    """

    has_champion: bool
    left_out: int
    newcomers: int
    overall: Comparison
    on_newcomers: Comparison | None
    groups: tuple[GroupComparison, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "has_champion": self.has_champion,
            "left_out": self.left_out,
            "newcomers": self.newcomers,
            "overall": self.overall.as_dict(),
            "on_newcomers": self.on_newcomers.as_dict() if self.on_newcomers else None,
            "groups": [group.as_dict() for group in self.groups],
        }


@dataclass(frozen=True)
class Champion:
    """The model that is released now.

    Parameters
    ----------
    training, model
        What it comes from, with what it said out of fold.
    served
        Itself, to ask about newcomers; None where an older version stored it in another form. It
        then stands by what it said.
    """

    training: StoredTraining
    model: StoredModel
    served: ServedModel | None


def challenge(frame: Frame, challenger: StoredTraining, champion: Champion | None) -> Challenge:
    """Hold the best model of a training against the champion.

    Parameters
    ----------
    frame
        The challenger's.
    challenger
        Its training.
    champion
        None if the study never had one.

    Raises
    ------
    StudyError
        If there is no patient whom neither has learned from.
    """
    study = challenger.study
    patients = frame.rows["patient_id"].to_numpy().astype(str)
    labels = frame.rows["label"].to_numpy().astype(str)
    own = _out_of_fold(challenger.best)
    if champion is None:
        other, known = _majority(patients, labels), patients
    else:
        other, known = _answers(frame, patients, champion)
    classes = np.unique([*labels, *own.classes, *other.classes])
    asked = np.array([p in own.places and p in other.places for p in patients], dtype=bool)
    if not asked.any():
        raise StudyError(
            "there is no patient whom neither model has learned from",
            where=f"frame {frame.sidecar.frame_id}",
        )
    held = _Held(
        labels[asked],
        classes,
        own.of(patients[asked], classes),
        other.of(patients[asked], classes),
        seed=study.cross_validation.seed,
        has_champion=champion is not None,
    )
    new = ~np.isin(patients[asked], known)
    enough = study.subgroups.min_patients
    groups = {name: of[asked] for name, of in groups_of(frame, study.subgroups).items()}
    return Challenge(
        has_champion=champion is not None,
        left_out=int((~asked).sum()),
        newcomers=int(new.sum()),
        overall=held.compared(np.ones(len(new), dtype=bool)),
        on_newcomers=held.compared(new) if new.sum() >= enough else None,
        groups=tuple(held.by_group(groups, enough)),
    )


class _Answers:
    """Class probabilities of patients whom the model has not learned from."""

    def __init__(self, patients: np.ndarray, classes: np.ndarray, said: np.ndarray) -> None:
        self.places = {str(patient): i for i, patient in enumerate(patients)}
        self.classes = classes
        self._said = said

    def of(self, patients: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """(n, k) probabilities; a class that the model does not know has none."""
        rows = [self.places[str(patient)] for patient in patients]
        wide = np.zeros((len(rows), len(classes)))
        wide[:, np.searchsorted(classes, self.classes)] = self._said[rows]
        return wide


@dataclass(frozen=True)
class _Held:
    """Answers of both models for the same patients."""

    labels: np.ndarray
    classes: np.ndarray
    challenger: np.ndarray
    champion: np.ndarray
    seed: int
    has_champion: bool

    def compared(self, inside: np.ndarray) -> Comparison:
        labels = self.labels[inside]
        truth = np.searchsorted(self.classes, labels)
        one, other = (
            # Which fold a patient was in matters to the area under the curve only.
            evaluate(
                labels, said[np.newaxis, inside], np.zeros((1, len(labels)), dtype=np.int64),
                seed=self.seed, classes=self.classes,
            )
            for said in (self.challenger, self.champion)
        )  # fmt: skip
        apart = difference(one, other)

        def calibrated(said: np.ndarray) -> CalibrationSummary:
            return calibration(truth, said[inside], seed=self.seed).summary(self.classes.tolist())

        return Comparison(
            patients=len(labels),
            challenger={name: one.metrics[name] for name in COMPARED},
            champion={name: other.metrics[name] for name in COMPARED},
            difference={name: apart[name] for name in COMPARED},
            calibration_challenger=calibrated(self.challenger),
            calibration_champion=calibrated(self.champion) if self.has_champion else None,
        )

    def by_group(self, groups: Mapping[str, np.ndarray], enough: int) -> Iterator[GroupComparison]:
        truth = np.searchsorted(self.classes, self.labels)
        one, other = (
            (said.argmax(axis=1) == truth).astype(np.float64)
            for said in (self.challenger, self.champion)
        )
        for grouping, names in groups.items():
            for group in sorted(set(names)):
                inside = names == group
                n = int(inside.sum())
                if n < enough:
                    continue
                apart = resamples(n, self.seed) @ (one[inside] - other[inside]) / n
                yield GroupComparison(
                    grouping, str(group), n, float(one[inside].mean()),
                    float(other[inside].mean()), estimate(apart),
                )  # fmt: skip


def _out_of_fold(model: StoredModel) -> _Answers:
    """Stored predictions, calibrated where they were, of patients in a test fold."""
    table = read_table(model.folder, "predictions.parquet")
    if table is None:
        raise StudyError(
            "the stored model has no predictions",
            where=model.name,
            hint="It was made by an older version: oncoframe train STUDY trains again.",
        )
    table = table.filter(pl.col("repeat") == JUDGED_REPEAT)
    kind = "calibrated[" if any(c.startswith("calibrated[") for c in table.columns) else "p["
    columns = [name for name in table.columns if name.startswith(kind)]
    classes = np.array([name.removeprefix(kind).removesuffix("]") for name in columns])
    said = table.select(columns).to_numpy()
    order = np.argsort(classes)
    return _Answers(table["patient_id"].to_numpy(), classes[order], said[:, order])


def _answers(frame: Frame, patients: np.ndarray, champion: Champion) -> tuple[_Answers, np.ndarray]:
    """What the champion says of the patients of a frame, and who was in its own."""
    # Ids of digits would be read as numbers.
    folds = pl.read_csv(champion.training.folder / "folds.csv", infer_schema=False)
    known = folds["patient_id"].to_numpy().astype(str)
    stored, served = _out_of_fold(champion.model), champion.served
    new = ~np.isin(patients, known)
    ids = np.array(list(stored.places))
    classes = stored.classes if served is None else served.classes
    said = stored.of(ids, classes)
    if new.any() and served is not None:
        asked = served.probabilities(served.features_of(frame).loc[new])
        ids = np.concatenate([ids, patients[new]])
        said = np.concatenate([said, asked])
    return _Answers(ids, classes.astype(str), said), known


def _majority(patients: np.ndarray, labels: np.ndarray) -> _Answers:
    """Shares of the classes, the same for every patient: the most frequent class is named."""
    classes, sizes = np.unique(labels, return_counts=True)
    return _Answers(patients, classes, np.tile(sizes / sizes.sum(), (len(patients), 1)))
