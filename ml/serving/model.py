"""A model as it is stored and asked: probabilities, prediction set, abstention, reasons.

    fitted recipe, calibrator, thresholds -> ServedModel -> folder -> load_served -> predict

Stored with skops, which loads no code from a file, and JSON. Nothing here knows the registry; it
loads this folder through :func:`_load_pyfunc`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.base import BaseEstimator

from ml.evaluation.calibrators import Calibrator, Scaling, read_calibrator
from ml.evaluation.conformal import ClassThresholds, answered
from ml.explain.shapley import Reason, is_explainable, reasons
from ml.frames.design_matrix import design_matrix
from ml.frames.frame import Frame
from ml.pipelines.inner_folds import aligned_probabilities
from ml.study.modelling import Conformal
from oncoframe.errors import StudyError

#: Classes in a saved model that skops does not know; nothing else is loaded from its file.
TRUSTED_TYPES = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "ml.evaluation.calibrators.Scaling",
    "ml.pipelines.encoding.Blocks",
    "ml.pipelines.encoding.is_category",
    "ml.pipelines.encoding.is_expression",
    "ml.pipelines.encoding.is_scalar",
    "ml.pipelines.modality_fusion.LateFusion",
    "ml.pipelines.modality_fusion.ModalityDropout",
    "ml.pipelines.modality_fusion.Stacking",
    "ml.pipelines.normalization.TmmNormalizer",
    "ml.pipelines.preprocessing.AssayImputer",
    "ml.pipelines.preprocessing.BiomarkerVarianceSelector",
    "ml.pipelines.preprocessing.RareColumnFilter",
    "ml.pipelines.resampling.ClassWeighted",
    "ml.pipelines.resampling.Oversampled",
)
_MODEL, _ABOUT = "model.skops", "served.json"
#: Columns of an answer before and after the probabilities.
SET, ABSTAINED = "prediction_set", "abstained"


@dataclass(frozen=True)
class ServedModel:
    """A model of all patients of a frame, ready to be asked about others.

    Parameters
    ----------
    model
        Fitted recipe.
    classes : (k,) array of str
        Sorted.
    columns
        Columns that it takes, in order; text columns are those of ``categories``.
    categories
        Names of the text columns.
    calibrator, thresholds
        Learned from out-of-fold predictions of the patients; None without calibration.
    conformal
        When it answers.
    """

    model: BaseEstimator
    classes: np.ndarray
    columns: tuple[str, ...]
    categories: tuple[str, ...]
    calibrator: Calibrator
    thresholds: ClassThresholds | None
    conformal: Conformal

    def features(self, given: pd.DataFrame) -> pd.DataFrame:
        """(n, p) columns of the model; those that are not given were not measured."""
        text = given.reindex(columns=list(self.categories)).astype(object)
        numbers = [name for name in self.columns if name not in set(self.categories)]
        taken = given.reindex(columns=numbers).astype(np.float32)
        return pd.concat([taken, text.where(text.notna(), None)], axis="columns")

    def features_of(self, frame: Frame) -> pd.DataFrame:
        """The same, of the patients of a frame."""
        modalities = sorted({column.modality for column in frame.sidecar.columns.values()})
        return self.features(design_matrix(frame, modalities).features)

    def probabilities(self, given: pd.DataFrame) -> np.ndarray:
        """(n, k) calibrated probabilities."""
        said = aligned_probabilities(self.model, self.features(given), self.classes)
        return self.calibrator.apply(said)

    def sets(self, probabilities: np.ndarray) -> np.ndarray:
        """(n, k) mask of the classes in the prediction set; without thresholds the best one."""
        if self.thresholds is None:
            return np.asarray(probabilities.argmax(axis=1)[:, None] == np.arange(len(self.classes)))
        return self.thresholds.sets(probabilities)

    def predict(self, given: pd.DataFrame, params: dict[str, object] | None = None) -> pd.DataFrame:
        """One row per patient: ``p[<class>]``, the prediction set and whether the model abstains.

        Parameters
        ----------
        given : (n, ...) data frame
            Columns of a design matrix, or of an expanded frame in domain names.
        params
            Not used; MLflow hands it over.
        """
        del params
        probabilities = self.probabilities(given)
        sets = self.sets(probabilities)
        names = [json.dumps(self.classes[row].tolist(), ensure_ascii=False) for row in sets]
        table = pd.DataFrame(
            probabilities, columns=[f"p[{name}]" for name in self.classes], index=given.index
        )
        table[SET] = names
        table[ABSTAINED] = ~answered(sets, self.conformal)
        return table

    def explain(self, patient: pd.DataFrame, label: str, *, count: int = 10) -> list[Reason]:
        """The strongest reasons for or against a class in one patient; none without trees."""
        if not is_explainable(self.model):
            return []
        return reasons(self.model, self.features(patient), self.classes, label, count=count)

    def save(self, folder: Path) -> None:
        """Write the model into a folder, made if needed.

        Raises
        ------
        StudyError
            If the model holds a type that could not be loaded again.
        """
        folder.mkdir(parents=True, exist_ok=True)
        skops.io.dump(self.model, folder / _MODEL)
        unknown = _untrusted(folder / _MODEL)
        if unknown:
            raise StudyError("a part of the model cannot be stored", got=", ".join(unknown))
        about = {
            "classes": self.classes.tolist(),
            "columns": list(self.columns),
            "categories": list(self.categories),
            "calibrator": self.calibrator.as_dict(),
            "thresholds": self.thresholds.smallest if self.thresholds else None,
            "conformal": self.conformal.model_dump(),
        }
        (folder / _ABOUT).write_text(json.dumps(about, indent=1, ensure_ascii=False), "utf-8")


def load_served(folder: Path) -> ServedModel:
    """Model of a folder that :meth:`ServedModel.save` wrote.

    Raises
    ------
    StudyError
        If the file holds a type that is not trusted.
    """
    about = json.loads((folder / _ABOUT).read_text("utf-8"))
    unknown = _untrusted(folder / _MODEL)
    if unknown:
        raise StudyError("the model file holds foreign types", got=", ".join(unknown))
    smallest = about["thresholds"]
    return ServedModel(
        model=skops.io.load(folder / _MODEL, trusted=list(TRUSTED_TYPES)),
        classes=np.array(about["classes"], dtype=object),
        columns=tuple(about["columns"]),
        categories=tuple(about["categories"]),
        calibrator=_calibrator(about),
        thresholds=None if smallest is None else ClassThresholds(tuple(smallest)),
        conformal=Conformal.model_validate(about["conformal"]),
    )


def _calibrator(about: Mapping[str, Any]) -> Calibrator:
    """How a model is calibrated; models of before had a temperature only."""
    if "power" in about:
        return Scaling("temperature", (about["power"],), (0.0,))
    return read_calibrator(about["calibrator"])


def _untrusted(file: Path) -> Sequence[str]:
    return sorted(set(skops.io.get_untrusted_types(file=file)) - set(TRUSTED_TYPES))


def _load_pyfunc(path: str) -> ServedModel:
    """MLflow's entry: the model behind ``mlflow.pyfunc.load_model``."""
    return load_served(Path(path))
