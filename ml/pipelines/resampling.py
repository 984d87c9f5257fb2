"""What is done about rare classes inside a training fold: weights, or new patients near real ones.

    training fold -> weights | ADASYN | LoRAS -> fit of the model -> prediction of real patients

Nothing here hands out resampled rows: a sampler is a part of the estimator that it feeds, so there
is no way to resample before the patients are split.
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


class ClassWeighted(Wrapper):
    """Classifier fitted with patient weights that lift rare classes.

    A patient of a class with n training patients weighs ``n ** -power``, scaled to mean 1 per
    class. 0 is no weighting, 1 gives all classes one total weight. At 0.5 the total weight still
    grows with the class: patients whom the features cannot tell apart go to the larger class,
    where full balancing would send them to the smallest.

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
        weights = (counts.mean() / counts) ** self.power
        # As numbers: XGBoost takes no names.
        self.estimator_ = clone(self.estimator).fit(X, positions, sample_weight=weights[positions])
        return self


class Oversampled(Wrapper):
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
        self.estimator_ = clone(self.estimator).fit(np.vstack(rows), np.concatenate(classes))
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
