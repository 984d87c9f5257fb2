"""One synthetic field of view: where its cells lie, how it looks, and what is where.

mix of kinds, look -> draw_field -> DrawnField (pixels, mask, cells)
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from assets.simulate.smears.cells import Cell, draw_cell, draw_erythrocyte
from assets.simulate.smears.looks import Look, picture
from assets.smears.fields import PIXEL_SIZE_UM

#: Width and height of a field in micrometres: 640 x 480 pixels at the declared size.
FIELD_UM = (640 * PIXEL_SIZE_UM, 480 * PIXEL_SIZE_UM)
#: Nucleated and red cells per 10,000 square micrometres of a good field.
CELLS_PER_AREA, ERYTHROCYTES_PER_AREA = 10.0, 28.0
_AREA_UM2 = 1e4
#: Values of the mask, as in the experts' masks of white cells.
NUCLEUS, CYTOPLASM = 255, 128
#: Tries to find a free place for a cell.
_TRIES = 40


@dataclass(frozen=True)
class PlantedCell:
    """A cell of a field: its kind, and its box (left, top, width, height) in pixels."""

    kind: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class DrawnField:
    """A field and its truth.

    Parameters
    ----------
    pixels : (H, W, 3) array of uint8
        What the scanner saw.
    mask : (H, W) array of uint8
        :data:`NUCLEUS` and :data:`CYTOPLASM` of nucleated cells, 0 elsewhere.
    cells
        The nucleated cells.
    """

    pixels: np.ndarray
    mask: np.ndarray
    cells: tuple[PlantedCell, ...]


@dataclass(frozen=True)
class Spread:
    """How cells lie in a field.

    Parameters
    ----------
    cells, erythrocytes
        Per :data:`CELLS_PER_AREA` and :data:`ERYTHROCYTES_PER_AREA`; 1 is a good field.
    crowding
        Share of the cells that lie on another one.
    covered
        Share of the width in which cells lie at all, red ones included.
    """

    cells: float = 1.0
    erythrocytes: float = 1.0
    crowding: float = 0.0
    covered: float = 1.0


def draw_field(
    mix: Mapping[str, float],
    look: Look,
    rng: np.random.Generator,
    *,
    size_um: tuple[float, float] = FIELD_UM,
    spread: Spread | None = None,
) -> DrawnField:
    """A field with cells drawn from a mix.

    Parameters
    ----------
    mix
        Kind -> share, adding up to 1.
    look
        Stain and scanner; its pixel size is that of the field.
    size_um
        Width and height.
    spread
        How cells lie; as in a good field unless given.
    """
    spread = spread or Spread()
    pixel = look.pixel_size_um
    width, height = (round(edge / pixel) for edge in size_um)
    stains, mask = np.zeros((2, height, width)), np.zeros((height, width), np.uint8)
    per_area = size_um[0] * size_um[1] / _AREA_UM2
    for _ in range(rng.poisson(ERYTHROCYTES_PER_AREA * per_area * spread.erythrocytes)):
        anywhere = rng.uniform((0, 0), (height, width * spread.covered)).astype(int)
        _add(stains, draw_erythrocyte(pixel, rng), anywhere)
    taken: list[tuple[np.ndarray, float]] = []
    planted: list[PlantedCell] = []
    number = max(1, rng.poisson(CELLS_PER_AREA * per_area * spread.cells)) if spread.cells else 0
    for kind in rng.choice(list(mix), size=number, p=np.array([*mix.values()])):
        cell = draw_cell(str(kind), pixel, rng)
        radius = np.sqrt(cell.body.sum() / np.pi)
        place = _place(taken, radius, (height, width), spread, rng)
        if place is not None:
            taken.append((place, radius))
            planted.append(_plant(stains, mask, cell, place))
    return DrawnField(picture(stains, look, pixel, rng), mask, tuple(planted))


def _place(
    taken: list[tuple[np.ndarray, float]],
    radius: float,
    shape: tuple[int, int],
    spread: Spread,
    rng: np.random.Generator,
) -> np.ndarray | None:
    """A free place for the whole cell, or one on another cell; None if there is none."""
    low = np.array([radius, radius]) + 1
    high = np.array([shape[0], max(shape[1] * spread.covered, 2 * radius + 4)]) - radius - 1
    if taken and rng.random() < spread.crowding:
        beside, other = taken[int(rng.integers(len(taken)))]
        angle = rng.uniform(0, 2 * np.pi)
        offset = 0.7 * (radius + other) * np.array([np.sin(angle), np.cos(angle)])
        return np.clip(beside + offset, low, high).astype(int)
    for _ in range(_TRIES):
        place = rng.uniform(low, high).astype(int)
        if all(np.hypot(*(place - at)) > radius + other + 2 for at, other in taken):
            return place
    return None


def _plant(stains: np.ndarray, mask: np.ndarray, cell: Cell, place: np.ndarray) -> PlantedCell:
    # A nucleated cell lies on the red ones and hides most of them.
    rows, columns, part = _overlap(stains.shape[1:], cell.body.shape, place)
    body, nucleus = cell.body[part], cell.nucleus[part]
    stains[:, rows, columns] *= np.where(body, 0.25, 1.0)
    stains[:, rows, columns] += cell.stains[(slice(None), *part)]
    region = mask[rows, columns]
    region[body] = np.maximum(region[body], CYTOPLASM)
    region[nucleus] = NUCLEUS
    down, across = np.nonzero(body)
    left, top = columns.start + across.min(), rows.start + down.min()
    box = (left, top, np.ptp(across) + 1, np.ptp(down) + 1)
    return PlantedCell(cell.kind, (int(box[0]), int(box[1]), int(box[2]), int(box[3])))


def _add(stains: np.ndarray, drawn: np.ndarray, place: np.ndarray) -> None:
    rows, columns, part = _overlap(stains.shape[1:], drawn.shape[1:], place)
    stains[:, rows, columns] += drawn[(slice(None), *part)]


def _overlap(
    shape: tuple[int, ...], drawn: tuple[int, ...], place: np.ndarray
) -> tuple[slice, slice, tuple[slice, slice]]:
    """Rows and columns of the field that a drawing covers, and the part of it that they show."""
    spans, parts = [], []
    for edge, size, middle in zip(shape, drawn, place, strict=True):
        start = int(middle) - size // 2
        low, high = max(start, 0), min(start + size, edge)
        spans.append(slice(low, max(low, high)))
        parts.append(slice(low - start, max(low, high) - start))
    return spans[0], spans[1], (parts[0], parts[1])
