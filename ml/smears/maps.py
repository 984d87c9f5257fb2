"""What a map of importance says: which area is highlighted, and how much of it lies on cells.

importance (0 to 1), mask of cells -> highlighted -> Areas; overlay -> picture for a person

No torch: what makes a map is in :mod:`ml.smears.occlusion`.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

#: Importance from which a pixel is highlighted; the largest of a field is 1.
HIGH = 0.5
#: Values of a mask: nucleus, rest of the cell; 0 is background.
NUCLEUS, CYTOPLASM = 255, 128
#: Colour of what is highlighted, and how much of it is laid over the field.
_COLOUR, _COVER = (255, 176, 0), 0.35
_LINE = (0, 0, 0)


@dataclass(frozen=True)
class FieldMap:
    """Which part of a field speaks for a class.

    Parameters
    ----------
    label
        The class.
    probability
        That the field by itself has for the network.
    importance : (H, W) array of float32
        Fall of that probability where the field is covered, 0 to 1 of the largest one; all 0 where
        covering never lowers it.
    """

    label: str
    probability: float
    importance: np.ndarray

    @property
    def high(self) -> np.ndarray:
        """(H, W) mask of what is highlighted."""
        return np.asarray(self.importance > HIGH)


@dataclass(frozen=True)
class Areas:
    """Where the highlighted area of a field lies; None where nothing is highlighted.

    Parameters
    ----------
    high
        Share of the field that is highlighted.
    cells, nuclei, background
        Share of the highlighted area on cells, on their nuclei, and beside them.
    """

    high: float
    cells: float | None
    nuclei: float | None
    background: float | None


def areas(high: np.ndarray, mask: np.ndarray) -> Areas:
    """Shares of a highlighted area.

    Parameters
    ----------
    high : (H, W) array of bool
        What is highlighted.
    mask : (H, W) array of uint8
        :data:`NUCLEUS`, :data:`CYTOPLASM` or 0.
    """
    found = mask[high]
    if not found.size:
        return Areas(0.0, None, None, None)
    cells = float((found > 0).mean())
    return Areas(float(high.mean()), cells, float((found == NUCLEUS).mean()), 1 - cells)


def overlay(field: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(H, W, 3) picture of a field at its own size: what is highlighted tinted and outlined."""
    shown = field.astype(np.float32)
    shown[high] = (1 - _COVER) * shown[high] + _COVER * np.array(_COLOUR, dtype=np.float32)
    edge = high & ~ndimage.binary_erosion(high, iterations=2)
    shown[ndimage.binary_dilation(edge) & ~high] = _LINE
    shown[edge] = _COLOUR
    return np.asarray(shown.round().astype(np.uint8))
