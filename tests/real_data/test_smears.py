"""Real cells with experts' masks: nuclei are found, and bags of cells told apart."""

import csv
import random
from functools import cache

import numpy as np
import pytest
from PIL import Image
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from assets.simulate.smears.field import NUCLEUS
from assets.smears.features import read_field, summarise
from assets.smears.fields import Field, open_field
from assets.smears.nuclei import find_cells

pytestmark = [pytest.mark.real_data, pytest.mark.slow]
#: Laboratory -> micrometres per pixel, by red cells of 7.5 um and lymphocytes of 9 um in it.
PIXEL_UM = {1: 0.2, 2: 0.08}
NEUTROPHIL, LYMPHOCYTE, MONOCYTE, EOSINOPHIL = 1, 2, 3, 4
#: Class of a synthetic patient -> share of each kind of cell in his bag.
PATIENTS = {
    "reactive": {NEUTROPHIL: 0.8, LYMPHOCYTE: 0.15, MONOCYTE: 0.05},
    "lymphatic": {NEUTROPHIL: 0.2, LYMPHOCYTE: 0.75, MONOCYTE: 0.05},
    "monocytic": {NEUTROPHIL: 0.3, LYMPHOCYTE: 0.2, MONOCYTE: 0.5},
}


@pytest.fixture(scope="module")
def crops(real_data):
    """Laboratory -> field, expert's mask and class of each cell."""
    folder = real_data / "smears" / "wbc_masks"

    @cache
    def _crops(laboratory):
        of = folder / f"dataset_{laboratory}"
        with (of / "class_labels.csv").open() as stream:
            rows = [(int(number), int(kind)) for number, kind in list(csv.reader(stream))[1:]]
        return [
            (
                Field(path := of / f"{number:03d}.png", path.name),
                of / f"{number:03d}_mask.png",
                kind,
            )
            for number, kind in rows
        ]

    return _crops


@pytest.mark.parametrize(("laboratory", "every"), [(1, 3), (2, 1)])
def test_find_cells__nuclei_are_those_of_the_experts(crops, laboratory, every):
    """Mean Dice of each laboratory; both stains with the same rules."""
    dice = []
    for field, mask, _ in crops(laboratory)[::every]:
        pixels = open_field(field, pixel_size_um=PIXEL_UM[laboratory])
        found = find_cells(pixels).nuclei > 0
        size = pixels.shape[1], pixels.shape[0]
        truth = np.asarray(Image.open(mask).resize(size, Image.Resampling.NEAREST)) == NUCLEUS
        dice.append(2 * (found & truth).sum() / (found.sum() + truth.sum()))
    assert np.mean(dice) >= 0.85


def test_features__tell_bags_of_real_cells_apart(crops):
    """Patients composed of cells of given classes; no cell is in two folds."""
    draw = random.Random(1)
    by_kind = {
        kind: [read_field(open_field(field, pixel_size_um=PIXEL_UM[1]))
               for field, _, k in crops(1)[::2] if k == kind]
        for kind in (NEUTROPHIL, LYMPHOCYTE, MONOCYTE)
    }  # fmt: skip
    rows, labels, folds = [], [], []
    for fold in range(3):
        cells = {kind: found[fold::3] for kind, found in by_kind.items()}
        for label, shares in PATIENTS.items():
            for _ in range(8):
                kinds = draw.choices([*shares], [*shares.values()], k=20)
                readings = [draw.choice(cells[kind]) for kind in kinds]
                _, vector = summarise([r for r in readings if r.quality.reason is None])
                rows.append(np.nan_to_num(vector.values))
                labels.append(label)
                folds.append(fold)
    splits = [
        (np.flatnonzero(np.array(folds) != fold), np.flatnonzero(np.array(folds) == fold))
        for fold in range(3)
    ]
    forest = ExtraTreesClassifier(200, random_state=1)
    chances = cross_val_predict(forest, np.array(rows), labels, cv=splits, method="predict_proba")
    auroc = roc_auc_score(labels, chances, multi_class="ovr", average="macro")
    assert auroc >= 0.9
