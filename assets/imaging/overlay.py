"""What a radiologist checks first: the mask on the CT, in three planes, as a PNG without a name.

volume, mask -> planes with most of the mask -> whole and close-up -> outline, scale -> PNG
"""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from assets.imaging.grid import Grid
from oncoframe.extraction import Picture

#: Windows in HU: wide enough for lung and bone at once, and the two of close-ups.
WIDE_HU, LUNG_HU, SOFT_HU = (-1000.0, 400.0), (-1250.0, 250.0), (-160.0, 240.0)
#: Median around the tumour below which it is looked at in the lung window.
_IN_LUNG_HU = -400.0
CONTOUR_RGB, _TEXT_RGB = (255, 64, 64), (255, 221, 120)
#: Height of a row of planes in pixels: in the picture and in its preview.
PANEL_PIXELS, PREVIEW_PIXELS = 320, 180
#: Shades of gray of the preview; what it costs in bytes.
_PREVIEW_SHADES = 16
_GAP_PIXELS, _CAPTION_PIXELS, _TEXT_PIXELS = 4, 18, 12
#: Characters of a name of a structure in the caption, at most.
_ROI_CHARACTERS = 40
#: Width of a plane at most, as a multiple of its height.
_WIDEST = 1.5
#: Field of view of a close-up: the tumour and as much around it, but this at least.
_MARGIN, _SMALLEST_VIEW_MM = 1.6, 60.0
_BARS_MM = (100, 50, 20, 10, 5)
#: Anatomical directions of the axes x, y and z of patient coordinates, from and to.
_SIDES = (("R", "L"), ("A", "P"), ("F", "H"))
#: Plane -> array axes (z, y, x) across it, down it and through it.
_PLANES = {"axial": (2, 1, 0), "coronal": (2, 0, 1), "sagittal": (1, 0, 2)}


@dataclass(frozen=True)
class _Plane:
    """One plane, as it is looked at: patient's right is left in the picture, head and front up.

    Parameters
    ----------
    name
        Plane and slice.
    gray, inside : (down, across) arrays
        HU, and the mask.
    spacing_mm
        Pixel edge lengths (down, across).
    sides
        Letters at the left, right, upper and lower edge.
    """

    name: str
    gray: np.ndarray
    inside: np.ndarray
    spacing_mm: tuple[float, float]
    sides: tuple[str, str, str, str]

    def close_up(self) -> "_Plane":
        """The square around the tumour, cut where the image ends."""
        rows, columns = np.nonzero(self.inside)
        extents = [np.ptp(rows) * self.spacing_mm[0], np.ptp(columns) * self.spacing_mm[1]]
        view_mm = max(_SMALLEST_VIEW_MM, _MARGIN * max(extents))
        parts = []
        for found, step in zip((rows, columns), self.spacing_mm, strict=True):
            middle, half = (found.min() + found.max()) / 2, view_mm / step / 2
            parts.append(slice(max(0, round(middle - half)), round(middle + half) + 1))
        rows_and_columns = tuple(parts)
        return _Plane(
            "", self.gray[rows_and_columns], self.inside[rows_and_columns], self.spacing_mm,
            self.sides,
        )  # fmt: skip


def overlay(
    hu: np.ndarray, mask: np.ndarray, grid: Grid, said: tuple[str, ...] = ("tumour",)
) -> Picture:
    """Axial, coronal and sagittal plane with most of the mask, whole and close up, outline in red.

    Parameters
    ----------
    hu : (Z, Y, X) array
        Hounsfield units.
    mask : (Z, Y, X) array of bool
        At least one voxel.
    grid
        Where the voxels lie; the planes are drawn in millimetres.
    said
        What is outlined, and how it was chosen; words that name nobody.

    Returns
    -------
    The picture, and a preview of the whole planes in few colours.
    """
    planes = [_plane(name, hu, mask, grid) for name in _PLANES]
    around = _around(hu, mask)
    near = LUNG_HU if around < _IN_LUNG_HU else SOFT_HU
    rows = [
        _row([_panel(plane, WIDE_HU, PANEL_PIXELS) for plane in planes]),
        _row([_panel(plane.close_up(), near, PANEL_PIXELS) for plane in planes]),
    ]
    volume_ml = mask.sum() * np.prod(grid.spacing_mm) / 1000
    caption = (
        f"{said[0][:_ROI_CHARACTERS]} {int(mask.sum())} voxels, {volume_ml:.1f} ml"
        f"{''.join(f', {how}' for how in said[1:])};"
        f"  above {_window(WIDE_HU)},  below {_window(near)}"
    )
    picture = _stack(rows, caption)
    preview = _row([_panel(plane, WIDE_HU, PREVIEW_PIXELS) for plane in planes])
    return Picture(_png(picture), _png(_in_few_colours(preview)))


def _plane(name: str, hu: np.ndarray, mask: np.ndarray, grid: Grid) -> _Plane:
    across, down, through = _PLANES[name]
    others = tuple(axis for axis in range(3) if axis != through)
    index = int(np.argmax(mask.sum(axis=others)))
    gray, inside = (np.take(a, index, axis=through) for a in (hu, mask))
    if across < down:
        gray, inside = gray.T, inside.T
    spacing = grid.spacing_mm[::-1]
    left_right, up_down = _sides(grid, across), _sides(grid, down)
    if left_right in (("L", "R"), ("P", "A"), ("H", "F")):
        gray, inside, left_right = gray[:, ::-1], inside[:, ::-1], left_right[::-1]
    if up_down in (("P", "A"), ("F", "H"), ("L", "R")):
        gray, inside, up_down = gray[::-1], inside[::-1], up_down[::-1]
    return _Plane(
        f"{name} {index + 1}/{hu.shape[through]}",
        gray,
        inside,
        (float(spacing[down]), float(spacing[across])),
        (*left_right, *up_down),
    )


def _sides(grid: Grid, axis: int) -> tuple[str, str]:
    """Anatomical directions at the start and the end of an array axis."""
    along = grid.direction[:, 2 - axis]
    main = int(np.argmax(np.abs(along)))
    start, end = _SIDES[main]
    return (start, end) if along[main] > 0 else (end, start)


def _around(hu: np.ndarray, mask: np.ndarray) -> float:
    """Median HU of the box around the tumour, without the tumour."""
    places = np.nonzero(mask)
    box = tuple(slice(max(0, p.min() - 5), p.max() + 6) for p in places)
    outside = hu[box][~mask[box]]
    return float(np.median(outside)) if outside.size else 0.0


def _panel(plane: _Plane, window: tuple[float, float], height: int) -> Image.Image:
    extents = [n * mm for n, mm in zip(plane.gray.shape, plane.spacing_mm, strict=True)]
    # A scan of few slices is wide and low: it is as wide as others and has black above and below.
    scale = min(height / extents[0], _WIDEST * height / extents[1])
    size = (max(1, round(extents[1] * scale)), max(1, round(extents[0] * scale)))
    low, high = window
    shades = (np.clip((plane.gray - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(shades)).resize(size, Image.Resampling.BILINEAR)
    mask = Image.fromarray(np.ascontiguousarray(plane.inside).astype(np.uint8) * 255)
    outline = _outline(np.asarray(mask.resize(size, Image.Resampling.NEAREST)) > 0)
    pixels = np.array(image.convert("RGB"))
    pixels[outline] = CONTOUR_RGB
    panel = Image.new("RGB", (size[0], height))
    panel.paste(Image.fromarray(pixels), (0, (height - size[1]) // 2))
    _annotate(panel, plane, scale)
    return panel


def _annotate(panel: Image.Image, plane: _Plane, scale: float) -> None:
    """Plane and slice, letters of the sides, and a bar of round length."""
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(_TEXT_PIXELS)
    width, height = panel.size
    left, right, up, down = plane.sides
    middle = (height - _TEXT_PIXELS) / 2
    places = {
        (3, middle): left, (width - _TEXT_PIXELS, middle): right,
        (width / 2, 1): up, (width / 2, height - _TEXT_PIXELS - 4): down, (3, 1): plane.name,
    }  # fmt: skip
    for place, text in places.items():
        draw.text(place, text, fill=_TEXT_RGB, font=font, stroke_width=1, stroke_fill=0)
    bar = next((mm for mm in _BARS_MM if mm * scale < width / 3), _BARS_MM[-1])
    end = (width - 4, height - 4)
    draw.line([(end[0] - bar * scale, end[1]), end], fill=_TEXT_RGB, width=2)
    draw.text(
        (width - 4, height - 7), f"{bar} mm", fill=_TEXT_RGB, font=font, anchor="rb",
        stroke_width=1, stroke_fill=0,
    )  # fmt: skip


def _outline(inside: np.ndarray) -> np.ndarray:
    """Pixels of a (Y, X) mask that touch a pixel outside."""
    padded = np.pad(inside, 1)
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(inside & ~core)


def _row(panels: list[Image.Image]) -> Image.Image:
    width = sum(panel.width for panel in panels) + _GAP_PIXELS * (len(panels) - 1)
    row = Image.new("RGB", (width, panels[0].height))
    left = 0
    for panel in panels:
        row.paste(panel, (left, 0))
        left += panel.width + _GAP_PIXELS
    return row


def _stack(rows: list[Image.Image], caption: str) -> Image.Image:
    height = sum(row.height for row in rows) + _GAP_PIXELS * (len(rows) - 1) + _CAPTION_PIXELS
    picture = Image.new("RGB", (max(row.width for row in rows), height))
    top = 0
    for row in rows:
        picture.paste(row, (0, top))
        top += row.height + _GAP_PIXELS
    font = ImageFont.load_default(_TEXT_PIXELS)
    ImageDraw.Draw(picture).text((3, top), caption, fill=_TEXT_RGB, font=font)
    return picture


def _in_few_colours(image: Image.Image) -> Image.Image:
    """Few grays, and the colours of contour and text, which a general palette would lose."""
    grays = [(shade, shade, shade) for shade in np.linspace(0, 255, _PREVIEW_SHADES, dtype=int)]
    palette = Image.new("P", (1, 1))
    palette.putpalette([int(v) for rgb in (*grays, CONTOUR_RGB, _TEXT_RGB) for v in rgb])
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


def _window(window: tuple[float, float]) -> str:
    return f"window {window[1] - window[0]:.0f} level {sum(window) / 2:.0f}"


def _png(image: Image.Image) -> bytes:
    stream = BytesIO()
    image.save(stream, format="PNG", optimize=True)
    return stream.getvalue()
