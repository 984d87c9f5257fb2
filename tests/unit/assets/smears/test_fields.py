"""Fields of view: which files are fields, their scale, and what is none."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from assets.smears.errors import FieldSize, GrayscaleField, NoPixelSize, NotAnImage
from assets.smears.fields import PIXEL_SIZE_UM, Field, list_fields, open_field
from oncoframe.errors import BadInput, EmptyFile, FileMissing, TruncatedFile


def _stained(height=60, width=80):
    """A field whose colour tells each place."""
    pixels = np.full((height, width, 3), 230, np.uint8)
    pixels[..., 0] = np.linspace(60, 240, width)
    pixels[..., 1] = np.linspace(90, 220, height)[:, None]
    return pixels


def _encoded(kind, pixels=None):
    stream = io.BytesIO()
    Image.fromarray(_stained() if pixels is None else pixels).save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def field(tmp_path):
    """A field from bytes."""

    def _field(content, name="field.png"):
        path = tmp_path / name
        path.write_bytes(content)
        return Field(path, name)

    return _field


def test_list_fields__counts_every_file_but_hidden_ones_and_notes(tmp_path):
    """A field in a format that is not read would vanish from the account."""
    for name in ("b/2.png", "a.JPG", "b/10.tif", "c.bmp", ".DS_Store", "notes.txt", "truth.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [field.name for field in list_fields(tmp_path)] == [
        "a.JPG",
        "b/10.tif",
        "b/2.png",
        "c.bmp",
    ]


def test_list_fields__refuses_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileMissing):
        list_fields(tmp_path / "nowhere")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_open_field__gives_the_pixels_of_each_format(field, kind):
    opened = open_field(field(_encoded(kind)), pixel_size_um=PIXEL_SIZE_UM)
    assert opened.dtype == np.uint8
    np.testing.assert_allclose(opened.astype(int), _stained(), atol=0 if kind != "JPEG" else 12)


@pytest.mark.parametrize(
    ("size_um", "shape"), [(0.75 * PIXEL_SIZE_UM, (45, 60)), (0.40706, (120, 160))]
)
def test_open_field__rescales_to_the_declared_micrometres(field, size_um, shape):
    """Cells of two scanners would differ in size for the scanner's sake."""
    opened = open_field(field(_encoded("PNG")), pixel_size_um=size_um)
    assert opened.shape[:2] == shape
    small = np.asarray(Image.fromarray(_stained()).resize((8, 6), Image.Resampling.BOX), float)
    again = np.asarray(Image.fromarray(opened).resize((8, 6), Image.Resampling.BOX), float)
    assert np.abs(small - again).max() < 3


def test_open_field__takes_the_resolution_of_a_tiff(tmp_path):
    path = tmp_path / "field.tif"
    tifffile.imwrite(
        path, _stained(), resolution=(10_000 / 0.40706,) * 2, resolutionunit="CENTIMETER"
    )
    assert open_field(Field(path, "field.tif")).shape == (120, 160, 3)


def _gray():
    return np.repeat(_stained()[..., :1], 3, axis=2)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", EmptyFile),
        (b"not an image at all", NotAnImage),
        (_encoded("BMP"), NotAnImage),
        (_encoded("PNG")[:120], TruncatedFile),
        (_encoded("JPEG")[:700], TruncatedFile),
        (_encoded("TIFF")[:5000], TruncatedFile),
        (_encoded("PNG", _stained()[..., 0]), GrayscaleField),
        (_encoded("PNG", _gray()), GrayscaleField),
        (_encoded("JPEG", _gray()), GrayscaleField),
        (_encoded("PNG", _stained()[:20, :20]), FieldSize),
    ],
)
def test_open_field__says_what_is_no_field(field, content, error):
    with pytest.raises(error):
        open_field(field(content), pixel_size_um=0.2)


@pytest.mark.parametrize("declared", [None, 0.0, 88.2, float("nan")])
def test_open_field__refuses_a_field_of_unknown_scale(field, declared):
    """72 dpi of an image editor are no microscope."""
    with pytest.raises(NoPixelSize, match="pixel_size_um"):
        open_field(field(_encoded("PNG")), pixel_size_um=declared)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_open_field__ends_in_a_typed_error_wherever_a_file_ends(field, kind):
    content = _encoded(kind)
    for end in np.linspace(1, len(content) - 1, 60, dtype=int):
        try:
            opened = open_field(field(content[:end]), pixel_size_um=PIXEL_SIZE_UM)
        except BadInput:
            continue
        # Only the end marker is gone: all pixels are there.
        assert np.abs(opened.astype(int) - _stained()).max() < 13


def test_open_field__says_nothing_of_the_folder(field):
    """Folders are often called after patients."""
    with pytest.raises(NotAnImage) as caught:
        open_field(field(b"x"), pixel_size_um=0.2)
    assert str(caught.value).startswith("field.png: not an image")
