"""Whether the values of an image can be Hounsfield units (HU).

Air is -1000 HU and fat -100: a CT of a body has values far below zero. An image without any is a
PET, an MR, a mask, or a CT whose rescaling was lost.
"""

import numpy as np

from assets.imaging.errors import NotHounsfield

#: An image that nowhere falls below this shows neither air nor fat.
HIGHEST_MINIMUM_HU = -100.0
#: Between its darkest and brightest voxel a CT spans more than soft tissue does.
SMALLEST_RANGE_HU = 200.0


def check_hounsfield(hu: np.ndarray, where: str) -> None:
    """Refuse an image that is no CT.

    Parameters
    ----------
    hu : (Z, Y, X) array
        Values that are said to be HU.
    where
        Its file or folder.

    Raises
    ------
    NotHounsfield
        If no value is as low as that of fat, or all are alike.
    """
    low, high = float(hu.min()), float(hu.max())
    if low > HIGHEST_MINIMUM_HU or high - low < SMALLEST_RANGE_HU:
        raise NotHounsfield(
            "the values of the image are no Hounsfield units",
            where=where,
            expected=f"air or fat below {HIGHEST_MINIMUM_HU:g} HU",
            got=f"{low:g} to {high:g}",
            hint="Land a CT in HU: no PET, MR, mask, window or stored values.",
        )
