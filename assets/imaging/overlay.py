"""What a radiologist checks first: the mask on the CT, in three planes, as a PNG without a name.

volume, mask -> planes of the largest extent -> window, contour -> one picture
"""

from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

from assets.imaging.grid import Grid

#: Window of the picture in HU: wide enough for lung and soft tissue at once.
WINDOW_HU = (-1000.0, 400.0)
CONTOUR_RGB = (255, 64, 64)
#: Height of the picture in pixels.
PANEL_PIXELS = 360
_GAP_PIXELS, _CAPTION_PIXELS = 6, 16
#: Anatomical directions of the axes x, y and z of patient coordinates, from and to.
_SIDES = (("R", "L"), ("A", "P"), ("F", "H"))
#: Plane -> array axes (z, y, x) across it, down it and through it.
_PLANES = {"axial": (2, 1, 0), "coronal": (2, 0, 1), "sagittal": (1, 0, 2)}


def overlay_png(hu: np.ndarray, mask: np.ndarray, grid: Grid) -> bytes:
    """PNG of the axial, coronal and sagittal plane with most of the mask, its outline in red.

    Parameters
    ----------
    hu : (Z, Y, X) array
        Hounsfield units.
    mask : (Z, Y, X) array of bool
        At least one voxel.
    grid
        Where the voxels lie; the planes are drawn in millimetres, head up, patient's right left.
    """
    panels = [_panel(name, hu, mask, grid) for name in _PLANES]
    width = sum(panel.width for panel in panels) + _GAP_PIXELS * (len(panels) - 1)
    picture = Image.new("RGB", (width, PANEL_PIXELS + _CAPTION_PIXELS))
    left = 0
    for panel in panels:
        picture.paste(panel, (left, 0))
        left += panel.width + _GAP_PIXELS
    stream = BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()


def _panel(name: str, hu: np.ndarray, mask: np.ndarray, grid: Grid) -> Image.Image:
    across, down, through = _PLANES[name]
    others = tuple(axis for axis in range(3) if axis != through)
    index = int(np.argmax(mask.sum(axis=others)))
    gray, inside = (np.take(a, index, axis=through) for a in (hu, mask))
    if across < down:
        gray, inside = gray.T, inside.T
    spacing = grid.spacing_mm[::-1]
    sides = [_sides(grid, axis) for axis in (across, down)]
    # Radiological convention: the patient's right is left in the picture, head and front are up.
    if sides[0] in (("L", "R"), ("P", "A"), ("H", "F")):
        gray, inside, sides[0] = gray[:, ::-1], inside[:, ::-1], sides[0][::-1]
    if sides[1] in (("P", "A"), ("F", "H"), ("L", "R")):
        gray, inside, sides[1] = gray[::-1], inside[::-1], sides[1][::-1]
    scale = PANEL_PIXELS / (gray.shape[0] * spacing[down])
    size = (max(1, round(gray.shape[1] * spacing[across] * scale)), PANEL_PIXELS)
    low, high = WINDOW_HU
    shades = np.clip((gray - low) / (high - low), 0, 1) * 255
    image = Image.fromarray(shades.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    outline = _outline(np.array(_mask_image(inside).resize(size, Image.Resampling.NEAREST)) > 0)
    pixels = np.array(image.convert("RGB"))
    pixels[outline] = CONTOUR_RGB
    panel = Image.new("RGB", (size[0], PANEL_PIXELS + _CAPTION_PIXELS))
    panel.paste(Image.fromarray(pixels), (0, 0))
    text = f"{name} {sides[0][0]}-{sides[0][1]}"
    ImageDraw.Draw(panel).text((2, PANEL_PIXELS + 2), text, fill=(200, 200, 200))
    return panel


def _mask_image(inside: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(inside).astype(np.uint8) * 255)


def _sides(grid: Grid, axis: int) -> tuple[str, str]:
    """Anatomical directions at the start and the end of an array axis."""
    along = grid.direction[:, 2 - axis]
    main = int(np.argmax(np.abs(along)))
    start, end = _SIDES[main]
    return (start, end) if along[main] > 0 else (end, start)


def _outline(inside: np.ndarray) -> np.ndarray:
    """Pixels of a (Y, X) mask that touch a pixel outside, two pixels wide."""
    padded = np.pad(inside, 2)
    core = inside.copy()
    for y, x in ((0, 2), (4, 2), (2, 0), (2, 4), (1, 2), (3, 2), (2, 1), (2, 3)):
        core &= padded[y : y + inside.shape[0], x : x + inside.shape[1]]
    return np.asarray(inside & ~core)
