"""What is done about rare classes inside a training fold: weights, or new patients near real ones.

    training fold -> weights | ADASYN | LoRAS -> fit of the model -> prior correction -> prediction

Nothing here hands out resampled rows: a sampler is a part of the estimator that it feeds, so there
is no way to resample before the patients are split. A model learns from lifted classes what tells
them apart; how frequent they are it learns wrongly, which is taken back from each answer.

References
----------
Saerens M et al. Adjusting the outputs of a classifier to new a priori probabilities. Neural Comput
2002;14:21-41. King G, Zeng L. Logistic regression in rare events data. Polit Anal 2001;9:137-163.
"""

from typing import Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.neighbors import NearestNeighbors

from ml.pipelines.meta_estimator import Wrapper
from oncoframe.errors import StudyError

#: Neighbours among which new patients are drawn; a class needs one patient more.
NEIGHBOURS = 5
#: A class is filled up to this share of the largest one: full balance doubles the cohort tenfold.
FILL_SHARE = 0.5
#: LoRAS: noise around a patient, in units of the (scaled) columns, and points drawn from it.
_SHADOW_SIGMA, _SHADOW_POINTS = 0.005, 40


class _Lifted(Wrapper):
    """What weights and samplers share: the frequencies that they pretend are taken back.

    Attributes
    ----------
    lifted_ : (k,) array of float
        How many times its real weight each class had in the fit.
    """

    lifted_: np.ndarray

    def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803, sklearn's name
        """(n, k) probabilities among patients as frequent as the training ones."""
        return prior_corrected(super().predict_proba(X), self.lifted_)


def prior_corrected(probabilities: np.ndarray, lifted: np.ndarray) -> np.ndarray:
    """(n, k) probabilities where classes are as frequent as they are, not as a model saw them.

    Parameters
    ----------
    probabilities : (n, k) array
        Of a model of lifted classes.
    lifted : (k,) array
        How many times its real weight each class had in the fit.
    """
    shifted = probabilities / lifted
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


class ClassWeighted(_Lifted):
    """Classifier fitted with patient weights that lift rare classes.

    A patient of a class with n training patients weighs ``n ** -power``, scaled to mean 1 per
    class. 0 is no weighting, 1 gives all classes one total weight. At 0.5 the total weight still
    grows with the class, and so does what the model learns from it.

    Parameters
    ----------
    estimator
        Classifier whose ``fit`` takes ``sample_weight``.
    power
        From 0 to 1.

    Attributes
    ----------
    estimator_
        The fitted classifier.
    classes_ : (k,) array of str
        Sorted class names.
    """

    def __init__(self, estimator: BaseEstimator, *, power: float = 0.5) -> None:
        self.estimator = estimator
        self.power = power

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:  # noqa: N803, sklearn's name
        """Fit on training patients.

        Parameters
        ----------
        X : (n, p) array
            Features.
        y : (n,) array of str
            Classes.
        """
        self.classes_, positions, counts = np.unique(y, return_inverse=True, return_counts=True)
        self.lifted_ = (counts.mean() / counts) ** self.power
        weights = self.lifted_[positions]
        # As numbers: XGBoost takes no names.
        self.estimator_ = clone(self.estimator).fit(X, positions, sample_weight=weights)
        return self


class Oversampled(_Lifted):
    """Classifier fitted on the training patients and on new ones near those of rare classes.

    Classes are filled up to :data:`FILL_SHARE` of the largest; one with too few patients for
    :data:`NEIGHBOURS` neighbours is left as it is, and so is one that ADASYN finds nowhere near
    another class.

    Parameters
    ----------
    estimator
        Classifier of dense, scaled columns.
    method
        ``adasyn`` puts new patients where a class is hard to tell from the others, ``loras`` into
        affine combinations of noisy neighbours.
    random_state
        Of the new patients.

    Attributes
    ----------
    estimator_
        The fitted classifier.
    classes_ : (k,) array of str
        Sorted class names.
    added_ : dict
        Class -> number of new patients.

    References
    ----------
    He H et al. ADASYN: adaptive synthetic sampling approach for imbalanced learning. IJCNN 2008.
    Bej S et al. LoRAS: an oversampling approach for imbalanced datasets. Mach Learn 2021;110:279.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        method: Literal["adasyn", "loras"] = "adasyn",
        random_state: int = 0,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:  # noqa: N803, sklearn's name
        """Add patients and fit.

        Parameters
        ----------
        X : (n, p) array
            Features without gaps.
        y : (n,) array of str
            Classes.

        Raises
        ------
        StudyError
            If there is no such method.
        """
        if self.method not in {"adasyn", "loras"}:
            raise StudyError(f"there is no sampler {self.method}", expected="adasyn or loras")
        draw = _adasyn if self.method == "adasyn" else _loras
        self.classes_, positions, counts = np.unique(y, return_inverse=True, return_counts=True)
        rows, classes, self.added_ = [X], [positions], {}
        for position, count in enumerate(counts):
            wanted = int(FILL_SHARE * counts.max()) - int(count)
            if wanted > 0 and count > NEIGHBOURS:
                seed = self.random_state + position
                new = draw(X, positions == position, wanted, seed)
                rows.append(new)
                classes.append(np.full(len(new), position))
                self.added_[str(self.classes_[position])] = len(new)
        everybody = np.concatenate(classes)
        self.lifted_ = np.bincount(everybody) / counts
        self.estimator_ = clone(self.estimator).fit(np.vstack(rows), everybody)
        return self


def _adasyn(X: np.ndarray, inside: np.ndarray, wanted: int, seed: int) -> np.ndarray:  # noqa: N803
    """(about ``wanted``, p) new patients of the class ``inside``, by imbalanced-learn."""
    # Takes a second to load, which a training without it does not spend.
    from imblearn.over_sampling import ADASYN  # noqa: PLC0415

    neighbours = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(X)
    near = neighbours.kneighbors(X[inside], return_distance=False)[:, 1:]
    hard = (~inside[near]).mean(axis=1)
    # imbalanced-learn refuses what would round to nobody: a class with no other class nearby.
    if not hard.any() or not np.rint(hard / hard.sum() * wanted).any():
        return X[:0]
    others_are_more = {1: int(inside.sum()) + wanted}
    sampler = ADASYN(sampling_strategy=others_are_more, n_neighbors=NEIGHBOURS, random_state=seed)
    resampled, _ = sampler.fit_resample(X, inside.astype(np.int64))
    return np.asarray(resampled[len(X) :])


def _loras(X: np.ndarray, inside: np.ndarray, wanted: int, seed: int) -> np.ndarray:  # noqa: N803
    """(wanted, p) new patients: affine combinations of noisy neighbours of patients of a class.

    The package ``loras`` seeds NumPy's global generator and starts processes per class: its
    numbers would depend on which folds are fitted side by side.
    """
    rng = np.random.default_rng(seed)
    members = X[inside]
    neighbours = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(members)
    near = neighbours.kneighbors(members, return_distance=False)
    mixed = min(X.shape[1], NEIGHBOURS * _SHADOW_POINTS)
    new = np.empty((wanted, X.shape[1]), dtype=X.dtype)
    for row in range(wanted):
        around = near[row % len(members)]
        # A shadow point is a neighbour plus noise; the noise of a combination is drawn as a whole.
        weights = rng.dirichlet(np.ones(mixed))
        of = np.bincount(rng.integers(NEIGHBOURS, size=mixed), weights, NEIGHBOURS)
        noise = _SHADOW_SIGMA * np.sqrt((weights**2).sum()) * rng.normal(size=X.shape[1])
        new[row] = of @ members[around] + noise
    return new
