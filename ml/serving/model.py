"""A model as it is stored and asked: probabilities, prediction set, abstention, reasons.

    fitted recipe, calibrator, thresholds -> ServedModel -> folder -> load_served -> predict

Stored with skops, which loads no code from a file, and JSON. Nothing here knows the registry; it
loads this folder through :func:`_load_pyfunc`.
"""

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import skops.io
from sklearn.base import BaseEstimator

from ml.evaluation.calibrators import Calibrator, read_calibrator
from ml.evaluation.conformal import ClassThresholds, answered
from ml.explain.shapley import Reason, is_explainable, reasons
from ml.frames.design_matrix import bag_matrix, design_matrix
from ml.frames.frame import Frame
from ml.pipelines.inner_folds import aligned_probabilities
from ml.serving.inputs import Inputs
from ml.smears.estimator import BagClassifier
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
    "ml.smears.estimator.BagClassifier",
)
_MODEL, _ABOUT = "model.skops", "served.json"
#: Columns of an answer before and after the probabilities.
SET, ABSTAINED, WHY, MODALITIES = "prediction_set", "abstained", "abstained_because", "modalities"


class OlderForm(StudyError):
    """A model that this version cannot ask, because an older one stored it in another form."""


@dataclass(frozen=True)
class ServedModel:
    """A model of all patients of a frame, ready to be asked about others.

    Parameters
    ----------
    model
        Fitted recipe.
    classes : (k,) array of str
        Sorted.
    inputs
        Columns that it takes, in order, and what it does with others.
    calibrator, thresholds
        Learned from out-of-fold predictions of the patients; None without calibration.
    conformal
        When it answers.
    """

    model: BaseEstimator
    classes: np.ndarray
    inputs: Inputs
    calibrator: Calibrator
    thresholds: ClassThresholds | None
    conformal: Conformal

    def features_of(self, frame: Frame) -> pd.DataFrame:
        """(n, p) columns of the model, of the patients of a frame.

        Raises
        ------
        StudyError
            If the frame lacks one of them.
        """
        if isinstance(self.model, BagClassifier):
            return self.inputs.of_frame(frame, bag_matrix(frame).features)
        modalities = sorted({column.modality for column in frame.sidecar.columns.values()})
        matrix = design_matrix(frame, modalities).features
        return self.inputs.of_frame(frame, matrix)

    def with_bags(self, folder: Path) -> Self:
        """The same, with the fields of smears in a folder; other models need none."""
        if not isinstance(self.model, BagClassifier):
            return self
        return replace(self, model=copy(self.model).set_params(bags=str(folder)))

    def probabilities(self, features: pd.DataFrame) -> np.ndarray:
        """(n, k) calibrated probabilities of columns of the model."""
        said = aligned_probabilities(self.model, features, self.classes)
        return self.calibrator.apply(said)

    def sets(self, probabilities: np.ndarray) -> np.ndarray:
        """(n, k) mask of the classes in the prediction set; without thresholds the best one."""
        if self.thresholds is None:
            return np.asarray(probabilities.argmax(axis=1)[:, None] == np.arange(len(self.classes)))
        return self.thresholds.sets(probabilities)

    def predict(self, given: pd.DataFrame, params: dict[str, object] | None = None) -> pd.DataFrame:
        """One row per patient: ``p[<class>]``, the prediction set and whether the model abstains.

        Beside them the modalities of which something was known, and why it abstains; sets and
        modalities as JSON lists, no reason as an empty text.

        Parameters
        ----------
        given : (n, ...) data frame
            Columns of a frame, an expanded frame, an answer of Feast or a design matrix; see
            :meth:`ml.serving.inputs.Inputs.read`.
        params
            Not used; MLflow hands it over.

        Raises
        ------
        StudyError
            If a column is missing, unknown or of another type.
        """
        del params
        features = self.inputs.read(given)
        probabilities = self.probabilities(features)
        sets = self.sets(probabilities)
        known = self.inputs.known(features)
        share = self.inputs.share(known)
        table = pd.DataFrame(
            probabilities, columns=[f"p[{name}]" for name in self.classes], index=features.index
        )
        table[SET] = [_listed(self.classes[row]) for row in sets]
        why = self._why_not(sets, share)
        table[ABSTAINED] = why != ""
        table[WHY] = why
        modalities = np.array(list(known), dtype=object)
        rows = np.column_stack(list(known.values())) > 0
        table[MODALITIES] = [_listed(modalities[row]) for row in rows]
        return table

    def _why_not(self, sets: np.ndarray, share: np.ndarray) -> np.ndarray:
        """(n,) reason to abstain, empty where the model answers."""
        sizes = sets.sum(axis=1)
        why = np.where(sizes == 0, "no class is likely enough", "")
        many = ~answered(sets, self.conformal) & (sizes > 0)
        why = np.where(many, "several classes cannot be ruled out", why)
        least = self.conformal.answer_from_inputs
        few = f"less than {least:.0%} of what is known of a training patient is known"
        return np.where(share < least, few, why).astype(object)

    def explain(self, patient: pd.DataFrame, label: str, *, count: int = 10) -> list[Reason]:
        """The strongest reasons for or against a class in one patient; none without trees."""
        if not is_explainable(self.model):
            return []
        return reasons(self.model, patient, self.classes, label, count=count)

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
            "inputs": self.inputs.as_json(),
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
    OlderForm
        If an older version wrote it.
    """
    about = json.loads((folder / _ABOUT).read_text("utf-8"))
    if not {"inputs", "calibrator"} <= set(about):
        raise OlderForm(
            "the model was stored in the form of an older version",
            where=str(folder),
            hint="Train again: oncoframe train STUDY.",
        )
    unknown = _untrusted(folder / _MODEL)
    if unknown:
        raise StudyError("the model file holds foreign types", got=", ".join(unknown))
    smallest = about["thresholds"]
    return ServedModel(
        model=skops.io.load(folder / _MODEL, trusted=list(TRUSTED_TYPES)),
        classes=np.array(about["classes"], dtype=object),
        inputs=Inputs.from_json(about["inputs"]),
        calibrator=read_calibrator(about["calibrator"]),
        thresholds=None if smallest is None else ClassThresholds(tuple(smallest)),
        conformal=Conformal.model_validate(about["conformal"]),
    )


def _listed(names: np.ndarray) -> str:
    return json.dumps(names.tolist(), ensure_ascii=False)


def _untrusted(file: Path) -> Sequence[str]:
    return sorted(set(skops.io.get_untrusted_types(file=file)) - set(TRUSTED_TYPES))


def _load_pyfunc(path: str) -> ServedModel:
    """MLflow's entry: the model behind ``mlflow.pyfunc.load_model``."""
    return load_served(Path(path))
