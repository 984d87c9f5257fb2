"""Maps: what is covered and matters is what was planted."""

import numpy as np
import pytest

from ml.smears.bags import field_files, write_bag
from ml.smears.estimator import BagClassifier
from ml.smears.occlusion import occlusion_map


@pytest.fixture(scope="module")
def model(cohort, bags):
    return BagClassifier("resnet18", bags=str(bags), size_px=32, epochs=8).fit(*cohort)


def test_occlusion_map__lies_on_the_one_cell_of_the_field(model, bags):
    """A map that is shifted or scaled wrongly would still look like a map."""
    field = np.full((64, 96, 3), 225, np.uint8)
    rows, columns = np.mgrid[:64, :96]
    cell = np.hypot(rows - 40, columns - 70) < 10
    field[cell & ((rows + columns) % 8 < 4)] = (120, 60, 150)
    [file] = field_files(write_bag(bags, [field]))

    found = occlusion_map(model, model.network(), file, "b")
    assert found.importance.shape == (64, 96)
    assert found.importance.max() == 1.0
    assert found.importance.min() == 0.0
    near = np.hypot(rows - 40, columns - 70) < 16
    assert near[found.high].mean() > 0.8


def test_occlusion_map__repeats_itself(model, cohort, bags):
    file = field_files(bags / cohort[0].iloc[0, 0])[0]
    once, again = (occlusion_map(model, model.network(), file) for _ in range(2))

    assert once.label == again.label
    np.testing.assert_array_equal(once.importance, again.importance)
