"""The mask of a study: the targets that its rule asks for, on the grid of the CT.

targets -> candidates by name and date -> their masks -> the largest, or the union
"""

from dataclasses import dataclass

import numpy as np

from assets.imaging.errors import EmptyMask
from assets.imaging.rtstruct import contours_mask
from assets.imaging.rules import MaskRule, Rule
from assets.imaging.seg import segment_masks
from assets.imaging.targets import RTSTRUCT_CLASS, Target, candidates
from assets.imaging.volume import Volume


@dataclass(frozen=True)
class Mask:
    """A segmentation on the grid of its CT.

    Parameters
    ----------
    voxels : (Z, Y, X) array of bool
        True inside.
    targets
        What it was made of.
    """

    voxels: np.ndarray
    targets: tuple[Target, ...]


def read_mask(targets: tuple[Target, ...], volume: Volume, rule: MaskRule) -> Mask:
    """Mask that the study's rule asks for.

    Raises
    ------
    assets.imaging.errors.NoMask
        If the rule names targets and none is called so.
    EmptyMask
        If no voxel is inside.
    MaskOffGrid, MaskOutsideCT, oncoframe.errors.TruncatedFile, oncoframe.errors.ImpossibleValue
        If a chosen target cannot be placed on the CT.
    """
    chosen = candidates(list(targets), rule)
    masks = target_masks(chosen, volume)
    sizes = [int(mask.sum()) for mask in masks]
    if not any(sizes):
        raise EmptyMask(
            "the segmentation contains no voxel", where=chosen[0].file.where,
            got=f"{len(chosen)} empty structures",
        )  # fmt: skip
    if rule.rule in (Rule.ALL, Rule.NAMED):
        return Mask(np.logical_or.reduce(masks), tuple(chosen))
    largest = int(np.argmax(sizes))
    return Mask(masks[largest], (chosen[largest],))


def target_masks(targets: list[Target], volume: Volume) -> list[np.ndarray]:
    """(Z, Y, X) arrays of bool, one per target, in their order; each object is read once."""
    masks: dict[tuple[str, int], np.ndarray] = {}
    for file in {str(t.file.path): t.file for t in targets}.values():
        of_file = [t for t in targets if t.file is file]
        if file.text("SOPClassUID") == RTSTRUCT_CLASS:
            found = [contours_mask(target, volume.grid) for target in of_file]
        else:
            found = segment_masks(of_file, volume)
        masks.update({(str(t.file.path), t.number): m for t, m in zip(of_file, found, strict=True)})
    return [masks[str(t.file.path), t.number] for t in targets]
