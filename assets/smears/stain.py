"""Stain vectors of a field, found in it (Macenko et al., ISBI 2009, 1107).

optical density -> plane of the two largest directions -> its extreme angles -> StainVectors
"""

from dataclasses import dataclass

import numpy as np

#: Optical density (sum of red, green and blue) below which a pixel is glass; percentile of angles
#: that is extreme; percentile of amounts that is the strength. Macenko's values, the first one for
#: the sum of three channels.
_STAINED, _EXTREME, _STRONGEST = 0.45, 1.0, 99.0
#: Fewest stained pixels that tell two stains.
_FEWEST = 200


@dataclass(frozen=True)
class StainVectors:
    """Two stains of a field.

    Parameters
    ----------
    blue, red : (3,) arrays of float
        Unit vectors of optical density in red, green and blue light: of the stain of nuclei
        (haematoxylin, azure) and of that of cytoplasm and haemoglobin (eosin).
    blue_strength, red_strength
        Amount of each in the deepest stained pixels.
    """

    blue: np.ndarray
    red: np.ndarray
    blue_strength: float
    red_strength: float

    @property
    def angle_deg(self) -> float:
        """Angle between the two stains."""
        return float(np.degrees(np.arccos(np.clip(self.blue @ self.red, -1, 1))))


def find_stains(density: np.ndarray) -> StainVectors | None:
    """Stains of a field; None where too little of it is stained.

    Parameters
    ----------
    density : (H, W, 3) array of float
        Optical density over the glass.
    """
    points = density[density.sum(axis=2) > _STAINED].astype(np.float64)
    if len(points) < _FEWEST:
        return None
    _, axes = np.linalg.eigh(np.cov(points.T))
    plane = axes[:, [2, 1]]
    plane = plane * np.where(plane.sum(axis=0) < 0, -1, 1)
    flat = points @ plane
    angles = np.arctan2(flat[:, 1], flat[:, 0])
    ends = np.percentile(angles, [_EXTREME, 100 - _EXTREME])
    vectors = (plane @ np.stack([np.cos(ends), np.sin(ends)])).T
    # Nuclei take more of the red light away than haemoglobin does.
    blue, red = sorted(vectors, key=lambda vector: -float(vector[0]))
    amounts, *_ = np.linalg.lstsq(np.stack([blue, red], axis=1), points.T, rcond=None)
    strengths = np.percentile(amounts, _STRONGEST, axis=1)
    return StainVectors(blue, red, float(strengths[0]), float(strengths[1]))
