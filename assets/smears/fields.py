"""Fields of view of a smear: which there are, and each as pixels of one declared size.

    folder or slide -> list_fields -> Field -> open_field -> (H, W, 3) uint8 at 0.20353 um per pixel

A field is an image of its own (PNG, JPEG, TIFF) or a rectangle of a whole-slide image. What is in
it is not looked at here.
"""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from assets.smears import slides
from assets.smears.errors import FieldSize, GrayscaleField, NoPixelSize, NotAnImage
from oncoframe.errors import BadInput, EmptyFile, FileMissing, TruncatedFile

#: Micrometres per pixel to which every field is rescaled: that of the published fields.
PIXEL_SIZE_UM = 0.20353
#: What an objective of 10x to 100x with a camera gives; 72 or 300 dpi of an editor are not in it.
PLAUSIBLE_UM = (0.02, 1.0)
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
#: Files that lie beside fields and claim to be no image.
_BESIDE = (".csv", ".dat", ".db", ".ini", ".json", ".md", ".txt", ".xml", ".yaml")
#: Edge of the smallest field: a lymphocyte of 7 um with what surrounds it.
MIN_EDGE_UM = 8.0
#: Pixels of the largest field: several of a camera of 10 megapixels, and what Pillow opens at all.
MAX_PIXELS = 80_000_000
#: Difference of channels (of 255) from which a pixel is coloured; JPEG gives gray ones up to 4.
_COLOURED = 6
#: Share of coloured pixels that a field has at least.
_COLOURED_SHARE = 0.001
#: Standard deviation of a blank field, which is not gray but empty, as quality says.
_BLANK_SD = 3.0
#: TIFF 6.0: tags of the resolution, and micrometres of its units (2 inch, 3 centimetre).
_X_RESOLUTION, _RESOLUTION_UNIT, _UNIT_UM = 282, 296, {2: 25_400.0, 3: 10_000.0}


@dataclass(frozen=True)
class Field:
    """Where a field lies.

    Parameters
    ----------
    path
        File that holds it.
    name
        File below the patient's folder; of a slide with the place of the rectangle.
    region
        Left, top, width and height in pixels of a slide's full resolution; None for an image.
    """

    path: Path
    name: str
    region: slides.Region | None = None


def list_fields(path: Path, *, pixel_size_um: float | None = None) -> tuple[Field, ...]:
    """Fields of a folder in any layout, of one image, or of a slide, sorted by name.

    Hidden files, and tables or notes beside the fields, are passed over. Every other file counts
    as a field, so that none is lost without a word; opening it says what ails it.

    Parameters
    ----------
    path
        Folder, image or whole-slide image.
    pixel_size_um
        Declared micrometres per pixel; a slide that does not say its own is cut by it.

    Raises
    ------
    FileMissing
        If nothing is there.
    """
    if not path.exists():
        raise FileMissing("the fields are not there", where=str(path))
    if path.is_file():
        return _cut(path, path.name, pixel_size_um)
    files = {file.relative_to(path): file for file in path.rglob("*") if file.is_file()}
    return tuple(
        field
        for name in sorted(files, key=lambda name: name.as_posix())
        if not _is_beside(name)
        for field in _cut(files[name], name.as_posix(), pixel_size_um)
    )


def open_field(
    field: Field, *, pixel_size_um: float | None = None, at_um: float = PIXEL_SIZE_UM
) -> np.ndarray:
    """(H, W, 3) array of uint8, RGB: a field at ``at_um`` micrometres per pixel.

    Parameters
    ----------
    pixel_size_um
        Declared micrometres per pixel of the file; else the file has to say it.

    Raises
    ------
    NotAnImage, GrayscaleField, NoPixelSize, FieldSize
        If it is no field.
    EmptyFile, TruncatedFile
        If the file has no bytes, or ends early.
    """
    size_um, _ = scale(field, pixel_size_um)
    pixels = _decoded(field)
    height, width = (max(1, round(edge * size_um / at_um)) for edge in pixels.shape[:2])
    if min(height, width) * at_um < MIN_EDGE_UM or height * width > MAX_PIXELS:
        raise FieldSize(
            "not the size of a field",
            where=field.name,
            expected=f"an edge of {MIN_EDGE_UM:g} um or more, at most {MAX_PIXELS:,} pixels",
            got=f"{width * at_um:.4g} x {height * at_um:.4g} um",
        )
    _refuse_gray(pixels, field.name)
    if pixels.shape[:2] == (height, width):
        return pixels
    # Pillow widens the kernel when it shrinks an image, so that no pixel is left out.
    resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized)


def scale(field: Field, declared_um: float | None = None) -> tuple[float, str]:
    """Micrometres per pixel of a file, and how it is known: ``declared``, ``tiff`` or ``slide``.

    Raises
    ------
    NoPixelSize
        If neither is there, or no microscope has such pixels.
    """
    found, source = declared_um, "declared"
    if found is None and field.region is not None:
        found, source = slides.pixel_size(field.path), "slide"
    elif found is None:
        found, source = _tiff_pixel_size(field.path), "tiff"
    low, high = PLAUSIBLE_UM
    if found is None or not low <= found <= high:
        raise NoPixelSize(
            "the size of a pixel is unknown",
            where=field.name,
            expected=f"{low:g} to {high:g} um",
            got="none" if found is None else f"{found:.4g} um ({source})",
            hint="Fill in the column pixel_size_um, or name --pixel-size-um.",
        )
    return found, source


def _is_beside(name: Path) -> bool:
    is_hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
    return is_hidden or name.suffix.lower() in _BESIDE


def _cut(file: Path, name: str, pixel_size_um: float | None) -> tuple[Field, ...]:
    """Fields of one file; one that stands for the whole file where it cannot be cut."""
    whole = Field(file, name)
    if not slides.is_slide(file):
        return (whole,)
    try:
        size_um, _ = scale(Field(file, name, (0, 0, 0, 0)), pixel_size_um)
        regions = slides.regions(file, size_um)
    except BadInput:
        return (whole,)
    return tuple(Field(file, f"{name}@{region[0]},{region[1]}", region) for region in regions)


def _decoded(field: Field) -> np.ndarray:
    if field.region is not None:
        return slides.read_region(field.path, field.region)
    with _image(field) as image:
        if image.width * image.height > MAX_PIXELS:
            raise FieldSize("too large for a field", where=field.name,
                            got=f"{image.width} x {image.height} pixels")  # fmt: skip
        if image.mode not in ("RGB", "RGBA", "P", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
            raise GrayscaleField(
                "an image without colour", where=field.name, expected="RGB", got=image.mode
            )
        return np.asarray(image.convert("RGB"))


@contextmanager
def _image(field: Field) -> Iterator[Image.Image]:
    """An image of the kinds that are read; what Pillow says of damage, as our errors."""
    if field.path.stat().st_size == 0:
        raise EmptyFile("the image has no bytes", where=field.name)
    try:
        with warnings.catch_warnings():
            # What Pillow takes for a bomb is too large for a field, as the next check says.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(field.path, formats=("PNG", "JPEG", "TIFF")) as image:
                yield image
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise NotAnImage(
            "not an image", where=field.name, expected="PNG, JPEG, TIFF or a slide"
        ) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise TruncatedFile("the image ends early or is damaged", where=field.name) from error
    except (SyntaxError, ValueError, EOFError, struct.error) as error:
        raise TruncatedFile("the image ends early or is damaged", where=field.name) from error


def _refuse_gray(pixels: np.ndarray, name: str) -> None:
    spread = pixels.max(axis=2) - pixels.min(axis=2)
    is_gray = (spread > _COLOURED).mean() < _COLOURED_SHARE
    if is_gray and pixels.std() > _BLANK_SD:
        raise GrayscaleField("an image without colour", where=name, expected="stains in colour")


def _tiff_pixel_size(path: Path) -> float | None:
    with _image(Field(path, path.name)) as image:
        tags = getattr(image, "tag_v2", None)
        if tags is None:
            return None
        unit_um, resolution = _UNIT_UM.get(tags.get(_RESOLUTION_UNIT, 2)), tags.get(_X_RESOLUTION)
        return unit_um / float(resolution) if unit_um and resolution else None
