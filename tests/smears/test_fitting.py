"""Training of a network on bags: what it learns, that it repeats, and that a kill costs nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skops.io
import torch

from ml.serving.model import TRUSTED_TYPES
from ml.smears import fitting
from ml.smears.estimator import BagClassifier
from oncoframe.errors import GradientsExploded, LossNotFinite, LossStuck, StudyError
from oncoframe.files import local_sha256

_KILLED = """
import os, pickle, signal, sys
from ml.smears import fitting
from ml.smears.estimator import BagClassifier
keep = fitting._keep
def keep_and_die(progress, file):
    keep(progress, file)
    if len(progress.losses) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
fitting._keep = keep_and_die
bags, labels, settings = pickle.load(open(sys.argv[1], "rb"))
BagClassifier(**settings).fit(bags, labels)
"""


@pytest.fixture
def quick(bags):
    """Settings of a network that is small and quick; what is tested is not how good it is."""
    return {
        "family": "squeezenet1_1", "bags": str(bags), "size_px": 32, "epochs": 3,
        "batch_patients": 6,
    }  # fmt: skip


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_bag_classifier__tells_planted_shapes_of_new_patients(cohort, make_bags, bags, pooling):
    """Labels are of patients only: fields have to find their own."""
    model = BagClassifier("resnet18", bags=str(bags), size_px=32, epochs=8, pooling=pooling).fit(
        *cohort
    )
    new, labels = make_bags(["a", "b"] * 8, seed=1)

    assert (model.predict(new) == labels).mean() >= 0.85
    assert model.losses_[-1] < 0.5 * model.losses_[0]


def test_bag_classifier__repeats_itself_by_its_seed(quick, cohort):
    """Another number of folds side by side must not change a result."""
    once, again = (BagClassifier(**quick).fit(*cohort) for _ in range(2))
    other = BagClassifier(**quick, random_state=1).fit(*cohort)

    assert once.losses_ == again.losses_
    assert all((once.weights_[name] == again.weights_[name]).all() for name in once.weights_)
    assert once.losses_ != other.losses_


def test_bag_classifier__goes_on_after_a_kill_to_the_same_weights(quick, cohort, tmp_path):
    """A checkpoint that forgot the optimizer or the epoch would end elsewhere."""
    import pickle  # noqa: PLC0415

    settings = {**quick, "checkpoints": str(tmp_path / "checkpoints")}
    given = tmp_path / "given.pickle"
    given.write_bytes(pickle.dumps((*cohort, settings)))
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(given)], check=False, cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    resumed = BagClassifier(**settings).fit(*cohort)
    whole = BagClassifier(**quick).fit(*cohort)

    assert resumed.losses_ == whole.losses_
    assert resumed.judged_ == whole.judged_
    assert all((resumed.weights_[name] == whole.weights_[name]).all() for name in whole.weights_)


def test_bag_classifier__computes_nothing_twice_that_was_finished(
    quick, cohort, tmp_path, monkeypatch
):
    settings = {**quick, "checkpoints": str(tmp_path)}
    first = BagClassifier(**settings).fit(*cohort)
    monkeypatch.setattr(fitting, "_train_epoch", None)
    second = BagClassifier(**settings).fit(*cohort)

    assert second.losses_ == first.losses_


def test_bag_classifier__stops_early_and_keeps_the_best_epoch(quick, cohort):
    """The last epoch of a training that got worse must not be what is served."""
    model = BagClassifier(**{**quick, "epochs": 40, "patience": 2}).fit(*cohort)

    best = int(np.argmin(model.judged_))
    assert len(model.judged_) == best + 1 + 2 < 40


def test_bag_classifier__is_stored_and_asked_again(quick, cohort, tmp_path):
    model = BagClassifier(**quick).fit(*cohort)
    skops.io.dump(model, tmp_path / "model.skops")
    loaded = skops.io.load(tmp_path / "model.skops", trusted=list(TRUSTED_TYPES))

    np.testing.assert_array_equal(loaded.predict_proba(cohort[0]), model.predict_proba(cohort[0]))


def test_bag_classifier__gives_class_shares_to_whom_it_has_not_seen_a_field_of(quick, cohort):
    """A patient without a smear is no patient with an empty one."""
    keys, labels = cohort
    model = BagClassifier(**quick).fit(keys, labels)
    some = keys.copy()
    some.iloc[3, 0] = None

    said = model.predict_proba(some)
    np.testing.assert_allclose(said[3], [0.5, 0.5])
    assert (said[[0, 1, 2]] != 0.5).all()


def test_bag_classifier__knows_its_patient_in_whatever_company(quick, cohort):
    """Fields of one patient must not leak into the pooled vector of another."""
    keys, labels = cohort
    model = BagClassifier(**quick).fit(keys, labels)

    alone = np.vstack([model.predict_proba(keys.iloc[[row]]) for row in range(4)])
    np.testing.assert_allclose(alone, model.predict_proba(keys)[:4], rtol=1e-6)


def test_bag_classifier__draws_rare_classes_as_often_as_common_ones():
    truth = np.array([0] * 10 + [1] * 3)
    plan = fitting.Plan(family="resnet18")
    drawn = fitting._drawn(truth, np.random.default_rng(0), plan)  # noqa: SLF001

    assert np.bincount(truth[drawn]).tolist() == [10, 10]
    assert set(drawn) == set(range(13))


def test_guard__ends_a_training_whose_loss_is_no_number(quick, cohort):
    with pytest.raises((LossNotFinite, GradientsExploded)):
        BagClassifier(**quick | {"learning_rate": 1e6}).fit(*cohort)


def test_guard__ends_a_training_that_does_not_move(quick, cohort):
    with pytest.raises(LossStuck):
        BagClassifier(**quick | {"learning_rate": 0.0, "epochs": 9}).fit(*cohort)


def test_guard__ends_a_training_whose_gradients_explode(quick, cohort, monkeypatch):
    monkeypatch.setattr("ml.smears.guard.MAX_GRADIENT", 1e-6)
    with pytest.raises(GradientsExploded, match="learning_rate"):
        BagClassifier(**quick).fit(*cohort)


def test_backbone__says_which_file_of_weights_is_missing(quick, cohort, tmp_path):
    """A silent start from scratch would be reported as a pretrained network."""
    with pytest.raises(StudyError, match="expected squeezenet1_1-b8a52dc0"):
        BagClassifier(**quick, weights=str(tmp_path)).fit(*cohort)


def test_backbone__refuses_weights_that_are_not_those_of_their_name(quick, cohort, tmp_path):
    (tmp_path / "squeezenet1_1-b8a52dc0.pth").write_bytes(b"no weights")
    with pytest.raises(StudyError, match="not the one that its name says"):
        BagClassifier(**quick, weights=str(tmp_path)).fit(*cohort)


def test_backbone__starts_from_the_weights_of_a_file(tmp_path, monkeypatch):
    from torchvision import models  # noqa: PLC0415

    from ml.smears import backbones  # noqa: PLC0415

    network = models.resnet18(weights=None)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    digest = local_sha256(tmp_path / "weights.pth")
    (tmp_path / "weights.pth").rename(tmp_path / f"resnet18-{digest[:8]}.pth")
    monkeypatch.setattr(backbones, "weights_name", lambda _: f"resnet18-{digest[:8]}.pth")

    found, width = backbones.backbone("resnet18", tmp_path)
    assert width == 512
    assert torch.equal(found.conv1.weight, network.conv1.weight)
