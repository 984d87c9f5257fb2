"""Fields as tensors: read small, and for training turned, cropped and stained anew.

bag -> read_field (uint8) -> augment (training fold only) | whole -> normalized

What is random is drawn from the generator that is handed in, so a fold can be fitted again.

References
----------
Colour: Tellez D et al. Whole-slide mitosis detection in H&E breast histology using PHH3 as a
reference to train distilled stain-invariant convolutional networks. IEEE Trans Med Imaging
2018;37:2126-2136.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

#: Mean and standard deviation of ImageNet, which the weights of torchvision expect.
_MEAN, _SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Share of the area of the largest square that a crop takes, and how far from square it may be.
_CROP_AREA, _CROP_ASPECT = (0.6, 1.0), 0.1
#: Shear of the affine map.
_SHEAR = 0.1
#: Fields kept small in memory; more are read from disk again.
_CACHED_FIELDS = 16_384


@lru_cache(maxsize=_CACHED_FIELDS)
def read_field(file: Path, size_px: int) -> torch.Tensor:
    """(3, H, W) uint8 tensor of a field whose shorter edge is ``size_px``."""
    field = np.load(file, mmap_mode="r")
    height, width = field.shape[:2]
    shrink = size_px / min(height, width)
    size = (max(size_px, round(width * shrink)), max(size_px, round(height * shrink)))
    small = np.array(Image.fromarray(np.asarray(field)).resize(size, Image.Resampling.BICUBIC))
    return torch.from_numpy(small).permute(2, 0, 1).contiguous()


def normalized(fields: torch.Tensor) -> torch.Tensor:
    """Fields of 0 to 1 as networks expect them."""
    mean, sd = (torch.tensor(of, device=fields.device).view(3, 1, 1) for of in (_MEAN, _SD))
    return (fields - mean) / sd


def augment(
    fields: Sequence[torch.Tensor],
    size_px: int,
    colour_shift: float,
    draw: torch.Generator,
    device: torch.device,
) -> torch.Tensor:
    """(n, 3, size, size) tensor of 0 to 1: crops at random place, size and turn, stained anew.

    Parameters
    ----------
    fields
        (3, H, W) uint8 tensors.
    colour_shift
        Standard deviation of the change of optical density, per channel and between channels.
    draw
        Source of what is random, of the CPU.
    device
        Where it is done; only bytes travel there.
    """
    maps = _affine_maps([field.shape[1:] for field in fields], draw).to(device)
    crops = torch.empty(len(fields), 3, size_px, size_px, device=device)
    shapes = [field.shape for field in fields]
    for shape in dict.fromkeys(shapes):
        rows = [row for row, other in enumerate(shapes) if other == shape]
        stacked = torch.stack([fields[row] for row in rows]).to(device).float() / 255
        grid = functional.affine_grid(
            maps[rows], [len(rows), 3, size_px, size_px], align_corners=False
        )
        crops[rows] = functional.grid_sample(
            stacked, grid, padding_mode="reflection", align_corners=False
        )
    return _stained(crops.clamp(0, 1), colour_shift, draw)


def _affine_maps(shapes: Sequence[torch.Size], draw: torch.Generator) -> torch.Tensor:
    """(n, 2, 3) maps from the square of a crop to the field, each in its own -1 to 1."""
    n = len(shapes)
    height, width = torch.tensor(shapes, dtype=torch.float32).T
    low, high = _CROP_AREA
    area, aspect, turn, mirror, shear, left, top = torch.rand(7, n, generator=draw)
    edge = torch.minimum(height, width) * torch.sqrt(low + (high - low) * area)
    stretch = torch.exp((2 * aspect - 1) * _CROP_ASPECT)
    across, down = edge * stretch * torch.where(mirror < 0.5, -1.0, 1.0), edge / stretch  # noqa: PLR2004
    cos, sin = torch.cos(2 * math.pi * turn), torch.sin(2 * math.pi * turn)
    lean = (2 * shear - 1) * _SHEAR
    maps = torch.zeros(n, 2, 3)
    maps[:, 0, 0], maps[:, 0, 1] = cos * across / width, (lean * cos - sin) * down / width
    maps[:, 1, 0], maps[:, 1, 1] = sin * across / height, (lean * sin + cos) * down / height
    maps[:, 0, 2] = (2 * left - 1) * (1 - edge / width)
    maps[:, 1, 2] = (2 * top - 1) * (1 - edge / height)
    return maps


def _stained(fields: torch.Tensor, shift: float, draw: torch.Generator) -> torch.Tensor:
    """Fields with optical densities mixed anew, as another stain or scanner would."""
    if not shift:
        return fields
    density = -torch.log(fields.clamp(min=1 / 255))
    mix = torch.eye(3) + shift * torch.randn(len(fields), 3, 3, generator=draw)
    base = shift / 4 * torch.randn(len(fields), 3, 1, 1, generator=draw)
    mixed = torch.einsum("nij,njhw->nihw", mix.to(fields.device), density)
    return torch.exp(-(mixed + base.to(fields.device))).clamp(0, 1)
