"""Maps of importance by occlusion: a window of the field is covered, and the network asked again.

fitted model, field -> occlusion_map -> FieldMap

References
----------
Zeiler MD, Fergus R. Visualizing and understanding convolutional networks. ECCV 2014.
Kokhlikyan N et al. Captum: a unified and generic model interpretability library for PyTorch. 2020.
"""

from pathlib import Path

import numpy as np
import torch
from captum.attr import Occlusion
from torch.nn import functional

from ml.smears.estimator import BagClassifier
from ml.smears.maps import FieldMap
from ml.smears.network import BagNetwork
from ml.smears.pixels import normalized, read_field

#: Windows along the shorter edge of a field, and steps per window.
WINDOWS, STEPS = 10, 3
#: Quantile of each channel that is taken for the empty slide, with which a window is covered.
_GLASS = 0.95
#: Covered fields that the network is asked about at once.
_ASKED = 64


def occlusion_map(
    model: BagClassifier, network: BagNetwork, field: Path, label: str | None = None
) -> FieldMap:
    """Which part of a field speaks for a class.

    Parameters
    ----------
    model, network
        A fitted model, and its :meth:`~ml.smears.estimator.BagClassifier.network`.
    field
        File of a bag.
    label
        The class; the one that the field by itself is given unless told.
    """
    height, width = np.load(field, mmap_mode="r").shape[:2]
    device = next(network.parameters()).device
    pixels = read_field(field, model.size_px).to(device).float()[None] / 255
    glass = torch.quantile(pixels.flatten(2), _GLASS, dim=2)[:, :, None, None]
    given = normalized(pixels)

    def said(fields: torch.Tensor) -> torch.Tensor:
        return torch.softmax(network.head(network.vectors(fields)), dim=1)

    with torch.inference_mode():
        probabilities = said(given)[0]
        chosen = int(probabilities.argmax()) if label is None else _place(model, label)
        window = max(2, round(model.size_px / WINDOWS))
        step = max(1, window // STEPS)
        fall = Occlusion(said).attribute(
            given,
            sliding_window_shapes=(3, window, window),
            strides=(3, step, step),
            baselines=normalized(glass).expand_as(given),
            target=chosen,
            perturbations_per_eval=_ASKED,
        )
    summed = fall.sum(dim=1, keepdim=True).clamp(min=0)
    large = functional.interpolate(summed, (height, width), mode="bilinear")[0, 0]
    importance: np.ndarray = large.cpu().numpy()
    highest = float(importance.max())
    return FieldMap(
        label=str(model.classes_[chosen]),
        probability=float(probabilities[chosen]),
        importance=importance / highest if highest > 0 else importance,
    )


def _place(model: BagClassifier, label: str) -> int:
    return int(np.flatnonzero(model.classes_ == label)[0])
