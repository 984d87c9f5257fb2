"""Classifiers around classifiers answer alike, whatever they do to the training patients."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB

from ml.pipelines.modality_fusion import LateFusion, ModalityDropout, Stacking
from ml.pipelines.resampling import ClassWeighted, Oversampled

VIEWS = {"rna": "expression"}
WRAPPERS = {
    "weights": ClassWeighted(GaussianNB()),
    "adasyn": Oversampled(GaussianNB()),
    "late": LateFusion(GaussianNB(), views=VIEWS),
    "stacking": Stacking(GaussianNB(), views=VIEWS),
    "dropout": ModalityDropout(GaussianNB(), views={}, share=0.0),
}
every_wrapper = pytest.mark.parametrize("name", WRAPPERS)


@pytest.fixture
def features():
    values = np.random.default_rng(4).normal(size=(60, 2)) + np.repeat([0, 3, 6], 20)[:, None]
    return pd.DataFrame(values, columns=["rna__a", "rna__b"])


@every_wrapper
def test_wrapper__names_the_class_with_the_highest_probability(name, features):
    """The position of a class among those of the inner model is not its position among ours."""
    labels = np.repeat(["t(8;21)", "APL", "NPM1"], 20)

    asked = features.to_numpy() if name == "adasyn" else features
    model = clone(WRAPPERS[name]).fit(asked, labels)

    assert model.classes_.tolist() == ["APL", "NPM1", "t(8;21)"]
    best = model.predict_proba(asked).argmax(axis=1)
    assert model.predict(asked).tolist() == model.classes_[best].tolist()
    assert (model.predict(asked) == labels).mean() > 0.9


@every_wrapper
def test_wrapper__does_not_answer_before_it_is_fitted(name, features):
    with pytest.raises(NotFittedError):
        clone(WRAPPERS[name]).predict_proba(features)
