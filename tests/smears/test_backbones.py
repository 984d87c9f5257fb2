"""The families of networks: each is built, and each gives one vector per field."""

import re

import pytest
import torch

from ml.smears.backbones import backbone, weights_name
from ml.smears.network import BagNetwork
from ml.study.modelling import NETWORKS

#: One of each kind; the larger ones differ in numbers only.
_KINDS = ("resnet18", "resnet50", "densenet121", "shufflenet_v2_x0_5", "squeezenet1_1")


@pytest.mark.parametrize("family", _KINDS)
def test_backbone__gives_one_vector_per_field(family):
    network, width = backbone(family, None)
    bags = BagNetwork(network, width, 3, "attention").eval()

    with torch.inference_mode():
        vectors = bags.vectors(torch.zeros(3, 3, 64, 64))
        assert vectors.shape == (3, width)
        assert bags(torch.zeros(3, 3, 64, 64), [1, 2]).shape == (2, 3)


@pytest.mark.parametrize("family", NETWORKS)
def test_weights_name__is_known_of_every_family(family):
    """A family without a file would fail only once somebody asks for its weights."""
    name = weights_name(family)
    assert re.sub("[._]", "", name).startswith(family.partition("_x")[0].replace("_", ""))
    assert re.fullmatch(r".*-[0-9a-f]{8,}\.pth", name)
