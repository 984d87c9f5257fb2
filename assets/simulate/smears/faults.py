"""Fields that are wrong in the ways fields are wrong, by a known amount.

    drawn field or mix, fault, amount from 0 to 1 -> pixels

Amount 0 is the good field; 1 is one that nobody would count. Some faults are of the picture and can
be planted in any field; others are of the smear, so that the field is drawn anew.
"""

from collections.abc import Mapping
from enum import StrEnum

import numpy as np
from scipy import ndimage

from assets.simulate.smears.field import FIELD_UM, Spread, draw_field
from assets.simulate.smears.looks import Look


class Fault(StrEnum):
    """What can be wrong with a field."""

    BLURRED = "blurred"
    PALE = "pale"
    TINTED = "tinted"
    DARK_CORNER = "dark_corner"
    DIRTY = "dirty"
    EMPTY = "empty"
    CROWDED = "crowded"
    ONE_SIDED = "one_sided"


#: Faults of the picture.
OF_THE_PICTURE = (Fault.BLURRED, Fault.PALE, Fault.TINTED, Fault.DARK_CORNER, Fault.DIRTY)
#: Faults of the smear.
OF_THE_SMEAR = (Fault.EMPTY, Fault.CROWDED, Fault.ONE_SIDED)

#: What amount 1 is: width of a point in pixels, share of the light that is taken away, specks per
#: 10,000 pixels.
_BLUR_PX, _LIGHT_LOST, _SPECKS = 8.0, 0.8, 6.0
_TINT = np.array([0.75, 0.65, 1.0])
_SPECK_RADIUS_PX = (3.0, 9.0)


def spoil(pixels: np.ndarray, fault: Fault, amount: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) array of uint8: a field with a fault of the picture.

    Parameters
    ----------
    pixels : (H, W, 3) array of uint8
        The good field.
    amount
        From 0 to 1.
    """
    image = pixels.astype(float)
    match fault:
        case Fault.BLURRED:
            image = ndimage.gaussian_filter(image, (amount * _BLUR_PX, amount * _BLUR_PX, 0))
        case Fault.PALE:
            glass = np.quantile(image, 0.95, axis=(0, 1))
            image = glass + (image - glass) * (1 - 0.95 * amount)
        case Fault.TINTED:
            image = image * (1 - amount * (1 - _TINT))
        case Fault.DARK_CORNER:
            y, x = np.mgrid[0 : 1 : image.shape[0] * 1j, 0 : 1 : image.shape[1] * 1j]
            image = image * (1 - amount * _LIGHT_LOST * (x + y) / 2)[..., None]
        case Fault.DIRTY:
            image = image * _dirt(image.shape[:2], amount, rng)[..., None]
        case _:
            msg = f"{fault} is no fault of the picture"
            raise ValueError(msg)
    return np.asarray(np.clip(np.rint(image), 0, 255).astype(np.uint8))


def draw_faulty(
    mix: Mapping[str, float],
    look: Look,
    fault: Fault,
    amount: float,
    rng: np.random.Generator,
    *,
    size_um: tuple[float, float] = FIELD_UM,
) -> np.ndarray:
    """(H, W, 3) array of uint8: a field drawn with a fault, of the picture or of the smear."""
    spread = {
        Fault.EMPTY: Spread(cells=max(1 - amount, 0.0), erythrocytes=max(1 - amount, 0.0)),
        Fault.CROWDED: Spread(
            cells=1 + 5 * amount, erythrocytes=1 + 3 * amount, crowding=0.2 * amount
        ),
        Fault.ONE_SIDED: Spread(covered=1 - 0.85 * amount),
    }.get(fault, Spread())
    drawn = draw_field(mix, look, rng, size_um=size_um, spread=spread)
    if fault in OF_THE_PICTURE:
        return spoil(drawn.pixels, fault, amount, rng)
    return drawn.pixels


def _dirt(shape: tuple[int, int], amount: float, rng: np.random.Generator) -> np.ndarray:
    """Share of the light that passes specks of dirt."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    passes = np.ones(shape)
    for _ in range(round(amount * _SPECKS * shape[0] * shape[1] / 1e4)):
        middle = rng.uniform((0, 0), shape)
        radius = rng.uniform(*_SPECK_RADIUS_PX)
        distance = np.hypot(y - middle[0], x - middle[1])
        passes = np.minimum(passes, np.clip((distance - radius) / 2 + 0.05, 0.05, 1))
    return passes
