"""Whole-slide images: where fields are cut, and the pixels of one.

    slide -> regions (rectangles of its full resolution with most nuclei) -> read_region

Formats are those of OpenSlide. A slide has room for thousands of fields; a hematologist looks at
some tens of them where cells lie side by side and not on each other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import openslide

from oncoframe.errors import TruncatedFile

#: Whole-slide formats by their own names; a TIFF may be a slide, too.
SUFFIXES = (".svs", ".ndpi", ".mrxs", ".bif", ".scn", ".vms", ".vmu", ".svslide")
#: Fields per slide, and the size of one in micrometres: that of a camera of 640 x 480.
FIELDS, FIELD_UM = 30, (130.26, 97.69)
#: Edge of a pixel of the overview in which fields are chosen: a nucleus has some twenty.
_OVERVIEW_UM = 2.0
#: Largest overview, in pixels; a larger slide is looked at more coarsely.
_OVERVIEW_PIXELS = 4096
#: A pixel is stained dark if its green is this much below that of the glass (blue nuclei take
#: green away most); above this share of them nuclei lie on each other.
_DARKER, _CROWDED = 60, 0.6

Region = tuple[int, int, int, int]


def is_slide(path: Path) -> bool:
    """Whether OpenSlide reads the file, or its name says that it should."""
    if path.suffix.lower() in SUFFIXES:
        return True
    is_tiff = path.suffix.lower() in (".tif", ".tiff")
    return is_tiff and openslide.OpenSlide.detect_format(path) is not None


def pixel_size(path: Path) -> float | None:
    """Micrometres per pixel of the full resolution, as the slide says; None if it does not."""
    with _opened(path) as slide:
        said = slide.properties.get(openslide.PROPERTY_NAME_MPP_X)
        return float(said) if said else None


def regions(path: Path, pixel_size_um: float, *, number: int = FIELDS) -> tuple[Region, ...]:
    """Rectangles of a slide with most nuclei that do not lie on each other, in reading order.

    Parameters
    ----------
    pixel_size_um
        Micrometres per pixel of the full resolution.
    number
        Fields at most.

    Raises
    ------
    TruncatedFile
        If the slide cannot be read.
    """
    width, height = (max(1, round(edge / pixel_size_um)) for edge in FIELD_UM)
    with _opened(path) as slide:
        across, down = slide.dimensions
        if across < width or down < height:
            return ((0, 0, across, down),)
        scale = max(_OVERVIEW_UM / pixel_size_um, max(across, down) / _OVERVIEW_PIXELS, 1.0)
        size = max(1, round(across / scale)), max(1, round(down / scale))
        green = np.asarray(slide.get_thumbnail(size).convert("RGB"))[..., 1]
    dark = green < np.percentile(green, 95) - _DARKER
    rows, columns = down // height, across // width
    shares = np.array([
        [_share(dark, row * height, column * width, height, width, down, across)
         for column in range(columns)] for row in range(rows)
    ])  # fmt: skip
    shares[shares > _CROWDED] = 0.0
    best = np.argsort(-shares, axis=None, kind="stable")[:number]
    places = sorted(divmod(int(place), columns) for place in best if shares.flat[place] > 0)
    return tuple((column * width, row * height, width, height) for row, column in places)


def read_region(path: Path, region: Region) -> np.ndarray:
    """(H, W, 3) array of uint8 of a rectangle at full resolution.

    Raises
    ------
    TruncatedFile
        If the slide cannot be read there.
    """
    x, y, width, height = region
    with _opened(path) as slide:
        pixels = slide.read_region((x, y), 0, (width, height))
    # What was not scanned is transparent: glass, so white.
    colour, alpha = np.asarray(pixels)[..., :3], np.asarray(pixels)[..., 3:]
    return np.where(alpha == 0, np.uint8(255), colour)


def _share(
    dark: np.ndarray, y: int, x: int, height: int, width: int, down: int, across: int
) -> float:
    """Share of dark pixels of the overview in a rectangle of the full resolution."""
    rows, columns = dark.shape
    part = dark[
        y * rows // down : max(-(-(y + height) * rows // down), 1),
        x * columns // across : max(-(-(x + width) * columns // across), 1),
    ]
    return float(part.mean()) if part.size else 0.0


@contextmanager
def _opened(path: Path) -> Iterator[openslide.OpenSlide]:
    try:
        with openslide.OpenSlide(path) as slide:
            yield slide
    except openslide.OpenSlideError as error:
        raise TruncatedFile("the slide ends early or is damaged", where=str(path)) from error
