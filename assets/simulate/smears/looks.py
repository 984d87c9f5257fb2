"""What a laboratory and its scanner make of a smear: colours, light, sharpness and noise.

stains of a field -> picture -> (H, W, 3) uint8
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from assets.smears.fields import PIXEL_SIZE_UM


@dataclass(frozen=True)
class Look:
    """Stain and scanner of a hospital.

    Parameters
    ----------
    stain, scanner
        As the samplesheet names them.
    pixel_size_um
        Of the scanner.
    blue, red
        Optical density of each stain in red, green and blue light.
    strength
        How deeply the laboratory stains.
    glass
        Colour of the empty slide, of 255.
    blur_um
        Sharpness of the objective: standard deviation of a point.
    noise
        Standard deviation of the camera, of 255.
    """

    stain: str
    scanner: str
    pixel_size_um: float
    blue: tuple[float, float, float]
    red: tuple[float, float, float]
    strength: float
    glass: tuple[float, float, float]
    blur_um: float
    noise: float


#: Hospital -> its look. ``east`` is the external one: other stain, other scanner.
LOOKS = {
    "north": Look(
        "Pappenheim", "S1", PIXEL_SIZE_UM,
        (0.75, 0.95, 0.28), (0.12, 0.62, 0.35), 1.0, (243, 238, 234), 0.12, 2.0,
    ),
    "south": Look(
        "Pappenheim", "S2", 0.22,
        (0.80, 0.88, 0.32), (0.15, 0.58, 0.40), 0.9, (238, 236, 238), 0.16, 3.0,
    ),
    "east": Look(
        "Wright-Giemsa", "S3", 0.17,
        (0.95, 0.85, 0.22), (0.10, 0.50, 0.48), 1.15, (248, 240, 222), 0.14, 2.5,
    ),
}  # fmt: skip


def picture(
    stains: np.ndarray, look: Look, pixel_um: float, rng: np.random.Generator
) -> np.ndarray:
    """(H, W, 3) array of uint8: what the camera sees of stains (Beer-Lambert).

    Parameters
    ----------
    stains : (2, H, W) array of float
        Amount of the blue and of the red stain.
    pixel_um
        Micrometres per pixel of ``stains``.
    """
    height, width = stains.shape[1:]
    density = np.tensordot(np.moveaxis(stains, 0, -1), np.array([look.blue, look.red]), axes=1)
    # The lamp is off the middle by a little, another little in each field.
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    tilt = rng.normal(0, 0.015, 2)
    light = np.array(look.glass) * (1 + tilt[0] * x + tilt[1] * y)[..., None]
    seen = light * 10 ** (-look.strength * density)
    seen = ndimage.gaussian_filter(seen, (*[look.blur_um / pixel_um] * 2, 0))
    seen = seen + rng.normal(0, look.noise, seen.shape)
    return np.asarray(np.clip(np.rint(seen), 0, 255).astype(np.uint8))
