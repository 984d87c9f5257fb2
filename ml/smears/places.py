"""Folders that networks on smears need, handed down from the settings."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """Folders of networks on smears.

    Parameters
    ----------
    bags
        See :mod:`ml.smears.bags`.
    weights
        Files of ImageNet weights; None: there are none.
    checkpoints
        Where a training that is cut off leaves where it was; None: nowhere.
    """

    bags: Path
    weights: Path | None = None
    checkpoints: Path | None = None
