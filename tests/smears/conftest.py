"""Fixtures of the tests of networks: small bags with one planted difference between classes."""

import numpy as np
import pandas as pd
import pytest

from ml.smears.bags import FIELDS, write_bag

pytest.importorskip("torch")

_HERE = "tests/smears/"


def pytest_collection_modifyitems(items):
    """All of them need the extra; ``make test`` leaves them out, ``make test-smears`` runs them."""
    for item in items:
        if _HERE in item.path.as_posix():
            item.add_marker(pytest.mark.smears)


def field_of(label, rng, *, size=32):
    """Pale field with three dark cells, round in class a and barred in class b."""
    field = np.clip(rng.normal(225, 4, (size, size, 3)), 0, 255)
    rows, columns = np.mgrid[:size, :size]
    for _ in range(3):
        y, x = rng.uniform(6, size - 6, 2)
        near = np.hypot(rows - y, columns - x) < 5
        if label == "b":
            near &= (rows + columns) % 4 < 2
        field[near] = rng.normal((120, 60, 150), 6)
    return field.round().astype(np.uint8)


@pytest.fixture(scope="session")
def bags(tmp_path_factory):
    """Folder of all bags."""
    return tmp_path_factory.mktemp("bags")


@pytest.fixture(scope="session")
def make_bags(bags):
    """Maker of patients: data frame of the keys of their bags, and labels."""

    def make(labels, *, fields=2, seed=0):
        rng = np.random.default_rng(seed)
        keys = [
            write_bag(bags, [field_of(label, rng) for _ in range(fields)]).name for label in labels
        ]
        return pd.DataFrame({FIELDS: pd.Series(keys, dtype=object)}), np.array(labels, dtype=object)

    return make


@pytest.fixture(scope="session")
def cohort(make_bags):
    """Twelve patients of each class."""
    return make_bags(["a", "b"] * 12)
