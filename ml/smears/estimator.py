"""A network on bags as a classifier of scikit-learn, so that every study's evaluation takes it.

data frame with the key of each patient's bag, labels -> fit -> arrays -> predict_proba

A bag is named by its pixels (:mod:`ml.smears.bags`), and so are patients here. The fitted weights
are arrays: the model is stored like any other, and is loaded without torch. Only ``fit`` and asking
need the extra.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ml.smears.available import require_extra
from oncoframe.errors import StudyError

if TYPE_CHECKING:
    from ml.smears.fitting import Plan
    from ml.smears.network import BagNetwork


class BagClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classes of patients from all fields of their smears.

    X is a data frame of one column, the key of each patient's bag; None where there is no smear.
    A patient without a smear gets the class shares of the training patients, as everywhere where
    an assay was not performed.

    Parameters
    ----------
    family, pooling, size_px, epochs, patience, held_out, batch_patients, fields, learning_rate,
    weight_decay, colour_shift, balance
        See :class:`ml.smears.fitting.Plan`.
    bags
        Folder of the bags.
    weights
        Folder of the ImageNet weights; empty: from scratch.
    checkpoints
        Folder in which a training that is cut off leaves where it was; empty: nowhere.
    random_state
        Of all that is drawn.

    Attributes
    ----------
    classes_ : (k,) array of str
        Sorted class names.
    weights_ : dict
        Name -> values of the network.
    losses_, judged_ : list of float
        Training and validation loss of each epoch.
    shares_ : (k,) array
        Classes of the training patients.
    """

    def __init__(  # noqa: PLR0913  (scikit-learn: every setting is a parameter)
        self,
        family: str = "resnet18",
        *,
        bags: str = ".",
        pooling: str = "mean",
        weights: str = "",
        size_px: int = 224,
        epochs: int = 30,
        patience: int = 8,
        held_out: int = 6,
        batch_patients: int = 8,
        fields: int = 8,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        colour_shift: float = 0.1,
        balance: bool = True,
        checkpoints: str = "",
        random_state: int = 0,
    ) -> None:
        self.family = family
        self.bags = bags
        self.pooling = pooling
        self.weights = weights
        self.size_px = size_px
        self.epochs = epochs
        self.patience = patience
        self.held_out = held_out
        self.batch_patients = batch_patients
        self.fields = fields
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.colour_shift = colour_shift
        self.balance = balance
        self.checkpoints = checkpoints
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Self:  # noqa: N803, sklearn's name
        """Fit on the training patients who have a smear.

        Raises
        ------
        ExtraMissing
            If torch is not installed.
        TrainingStopped
            If the guard ends the training.
        StudyError
            If nobody has a smear, or weights or fields are missing.
        """
        require_extra()
        from ml.smears.fitting import Patients, fit_network  # noqa: PLC0415

        bags, had = self.bags_of(X)
        if not had.any():
            raise StudyError("no training patient has a smear")
        self.classes_ = np.unique(y)
        truth = np.searchsorted(self.classes_, y[had])
        self.shares_ = np.bincount(truth, minlength=len(self.classes_)) / len(truth)
        fitted = fit_network(
            self.plan(),
            Patients(bags, truth),
            len(self.classes_),
            checkpoints=Path(self.checkpoints) if self.checkpoints else None,
        )
        self.weights_ = fitted.weights
        self.losses_, self.judged_ = list(fitted.losses), list(fitted.judged)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:  # noqa: N803, sklearn's name
        """(n, k) probabilities in the order of ``classes_``."""
        bags, had = self.bags_of(X)
        said = np.tile(self.shares_, (len(X), 1))
        if had.any():
            network = self.network()
            from ml.smears.fitting import predict  # noqa: PLC0415

            said[had] = predict(self.plan(), network, bags)
        return said

    def predict(self, X: pd.DataFrame) -> np.ndarray:  # noqa: N803, sklearn's name
        """(n,) most probable classes."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def bags_of(self, X: pd.DataFrame) -> tuple[tuple[Path, ...], np.ndarray]:  # noqa: N803
        """Folders of the bags of the patients who have one, and the (n,) mask of those."""
        keys = X.iloc[:, 0]
        had = keys.notna().to_numpy()
        return tuple(Path(self.bags) / key for key in keys[had]), had

    def network(self) -> "BagNetwork":
        """The fitted network, ready to be asked.

        Raises
        ------
        ExtraMissing
            If torch is not installed.
        """
        check_is_fitted(self)
        require_extra()
        from ml.smears.fitting import fitted_network  # noqa: PLC0415

        return fitted_network(self.plan(), self.weights_, len(self.classes_))

    def plan(self) -> "Plan":
        """Settings as the training takes them."""
        from ml.smears.fitting import Plan  # noqa: PLC0415

        settings = self.get_params()
        seed, weights = settings.pop("random_state"), settings.pop("weights")
        del settings["bags"], settings["checkpoints"]
        return Plan(**settings, seed=seed, weights=Path(weights) if weights else None)
