"""Networks of torchvision without their last layer: a field in, a vector out.

family, file of ImageNet weights | none -> backbone -> (module, width of its vector)

Nothing is downloaded. torchvision names each file of weights by the start of its SHA-256, which is
what a file is held against.
"""

import re
from hashlib import file_digest
from pathlib import Path, PurePosixPath

import torch
from torch import nn
from torchvision import models

from ml.study.modelling import NETWORKS
from oncoframe.errors import StudyError

#: Widest vector before the last layer, where it is not the width of that layer.
_SQUEEZENET_WIDTH = 512
#: DenseNet's files name layers as torchvision did in 2017.
_OLD_DENSENET = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$"
)


def backbone(family: str, weights: Path | None) -> tuple[nn.Module, int]:
    """Network that makes a vector of a field, and the length of that vector.

    Parameters
    ----------
    family
        One of :data:`ml.study.modelling.NETWORKS`.
    weights
        Folder with the file of ImageNet weights; None: random ones, drawn from torch's generator.

    Raises
    ------
    StudyError
        If there is no such family, or its file is missing or another one.
    """
    if family not in NETWORKS:
        raise StudyError(f"there is no network {family}", expected=f"one of {', '.join(NETWORKS)}")
    network = models.get_model(family, weights=None)
    if weights is not None:
        network.load_state_dict(_read(weights_file(family, weights)))
    if family.startswith("squeezenet"):
        network.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1))
        return network, _SQUEEZENET_WIDTH
    last = "classifier" if family.startswith("densenet") else "fc"
    width = int(getattr(network, last).in_features)
    setattr(network, last, nn.Identity())
    return network, width


def weights_name(family: str) -> str:
    """Name of the file of ImageNet weights, which ends in the start of its SHA-256."""
    return PurePosixPath(str(models.get_model_weights(family)["IMAGENET1K_V1"].url)).name


def weights_file(family: str, folder: Path) -> Path:
    """File of ImageNet weights in a folder.

    Raises
    ------
    StudyError
        If it is missing, or its content is not what its name says.
    """
    file = folder / weights_name(family)
    if not file.is_file():
        raise StudyError(
            f"the ImageNet weights of {family} are not there",
            where=str(folder),
            expected=file.name,
            hint="Put the file of torchvision there, or train from scratch: pretrained: false.",
        )
    with file.open("rb") as content:
        found = file_digest(content, "sha256").hexdigest()
    named = file.stem.rpartition("-")[2]
    if not found.startswith(named):
        raise StudyError(
            "the file of weights is not the one that its name says",
            where=str(file),
            expected=f"SHA-256 {named}...",
            got=found[: len(named)],
        )
    return file


def _read(file: Path) -> dict[str, torch.Tensor]:
    state = torch.load(file, map_location="cpu", weights_only=True)
    return {_OLD_DENSENET.sub(r"\1\2", name): values for name, values in state.items()}
