"""Bags: named by their pixels, and nobody shares a field with somebody else."""

import numpy as np
import pytest

from ml.smears.bags import bag_key, field_files, field_key, refuse_shared_fields, write_bag
from oncoframe.errors import StudyError


@pytest.fixture
def field():
    """Field of view without symmetry."""
    return np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)


def another(field):
    return np.roll(field, 1, axis=0)[:, ::-1] ^ 1


def test_write_bag__is_named_by_the_pixels_and_read_in_order(tmp_path, field):
    bag = write_bag(tmp_path, [field, another(field)])

    keys = [field_key(field), field_key(another(field))]
    assert bag.name == bag_key(keys) != bag_key(reversed(keys))
    assert [np.load(file).tolist() for file in field_files(bag)] == [
        field.tolist(), another(field).tolist(),
    ]  # fmt: skip
    assert write_bag(tmp_path, [field, another(field)]) == bag


def test_field_key__tells_the_shape_of_a_field(field):
    """The same bytes in another shape are another picture."""
    assert field_key(field) != field_key(field.reshape(30, 20, 3))


def test_field_files__refuses_a_bag_that_is_not_prepared(tmp_path):
    with pytest.raises(StudyError, match="not prepared"):
        field_files(tmp_path / "gone")


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_refuse_shared_fields__finds_a_field_whichever_side_is_up(tmp_path, field, turns, mirrored):
    """A turned copy of a test patient's field in training would be tested on itself."""
    sibling = np.rot90(field[:, ::-1] if mirrored else field, turns)
    bags = [
        write_bag(tmp_path, [field]),
        write_bag(tmp_path, [another(field), np.ascontiguousarray(sibling)]),
    ]
    with pytest.raises(StudyError, match="share a field"):
        refuse_shared_fields(bags)


def test_refuse_shared_fields__lets_patients_with_fields_of_their_own_pass(tmp_path, field):
    shuffled = field.reshape(-1, 3)[::-1][np.random.default_rng(1).permutation(600)]
    bags = [
        write_bag(tmp_path, [field, field]),  # filed twice for one patient: nobody is tested by it
        write_bag(tmp_path, [another(field)]),
        write_bag(tmp_path, [shuffled.reshape(20, 30, 3)]),  # the same colours, another picture
    ]
    refuse_shared_fields(bags)
