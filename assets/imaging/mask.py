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
    chosen_by
        Rule, by what the structure was known, and what was passed over for it.
    interpolated_slices
        Slices that were filled between contours.
    """

    voxels: np.ndarray
    targets: tuple[Target, ...]
    chosen_by: str
    interpolated_slices: int

    @property
    def name(self) -> str:
        """Names of its structures, without what is no word for one."""
        return ", ".join(target.name for target in self.targets)


def read_mask(targets: tuple[Target, ...], volume: Volume, rule: MaskRule) -> Mask:
    """Mask that the study's rule asks for.

    Raises
    ------
    assets.imaging.errors.NoMask
        If the rule names targets and none is called so.
    assets.imaging.errors.UnclearTumour
        If nothing tells which of several structures is the tumour.
    assets.imaging.errors.SparseContours
        If there are slices between its contours and the rule does not say to fill them.
    EmptyMask
        If no voxel is inside.
    MaskOffGrid, MaskOutsideCT, oncoframe.errors.TruncatedFile, oncoframe.errors.ImpossibleValue
        If a chosen target cannot be placed on the CT.
    """
    fits = candidates(list(targets), rule)
    chosen, said = fits.targets, str(rule.rule)
    if fits.sign != said:
        said += f"/{fits.sign}"
    found = target_masks(chosen, volume, interpolate=rule.interpolate)
    masks = [mask for mask, _ in found]
    sizes = [int(mask.sum()) for mask in masks]
    if not any(sizes):
        raise EmptyMask(
            "the segmentation contains no voxel", where=chosen[0].file.where,
            got=f"{len(chosen)} empty structures",
        )  # fmt: skip
    if rule.rule in (Rule.ALL, Rule.NAMED):
        filled = sum(number for _, number in found)
        union = np.logical_or.reduce(masks)
        return Mask(union, tuple(chosen), _counted(said, "union", chosen), filled)
    largest = int(np.argmax(sizes))
    said = _counted(said, "largest", chosen)
    return Mask(masks[largest], (chosen[largest],), said, found[largest][1])


def _counted(said: str, how: str, chosen: list[Target]) -> str:
    return said if len(chosen) == 1 else f"{said}/{how}_of_{len(chosen)}"


def target_masks(
    targets: list[Target], volume: Volume, *, interpolate: bool = False
) -> list[tuple[np.ndarray, int]]:
    """(Z, Y, X) array of bool and number of interpolated slices of each target, in their order.

    Each object is read once.
    """
    masks: dict[tuple[str, int], tuple[np.ndarray, int]] = {}
    for file in {str(t.file.path): t.file for t in targets}.values():
        of_file = [t for t in targets if t.file is file]
        if file.text("SOPClassUID") == RTSTRUCT_CLASS:
            found = [
                contours_mask(target, volume.grid, interpolate=interpolate) for target in of_file
            ]
        else:
            found = [(mask, 0) for mask in segment_masks(of_file, volume)]
        masks.update({(str(t.file.path), t.number): m for t, m in zip(of_file, found, strict=True)})
    return [masks[str(t.file.path), t.number] for t in targets]
