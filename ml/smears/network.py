"""A network on bags: fields become vectors, those of a patient become one, and that classes.

fields of some patients -> backbone -> (fields, width) -> pooling -> (patients, width) -> classes

References
----------
Ilse M, Tomczak J, Welling M. Attention-based deep multiple instance learning. ICML 2018.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

Pooling = Literal["mean", "attention"]

#: Width of the layer that weighs fields.
_ATTENTION_WIDTH = 64


class BagNetwork(nn.Module):  # type: ignore[misc]
    """Classes of patients from their fields.

    Parameters
    ----------
    backbone, width
        See :func:`ml.smears.backbones.backbone`.
    classes
        Number of classes.
    pooling
        ``mean``: every field counts alike. ``attention``: the network learns which fields count.
    """

    def __init__(self, backbone: nn.Module, width: int, classes: int, pooling: Pooling) -> None:
        super().__init__()
        self.backbone = backbone
        self.attention = (
            nn.Sequential(
                nn.Linear(width, _ATTENTION_WIDTH), nn.Tanh(), nn.Linear(_ATTENTION_WIDTH, 1)
            )
            if pooling == "attention"
            else None
        )
        self.head = nn.Linear(width, classes)

    def vectors(self, fields: torch.Tensor) -> torch.Tensor:
        """(n, width) vectors of fields; one large enough is its own mean over the picture."""
        return self.backbone(fields).flatten(1)

    def weights(self, vectors: torch.Tensor) -> torch.Tensor:
        """(n, 1) share of each field of one patient; they sum to one."""
        if self.attention is None:
            return torch.full_like(vectors[:, :1], 1 / len(vectors))
        return torch.softmax(self.attention(vectors), dim=0)

    def pooled(self, vectors: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
        """(patients, width) one vector per patient.

        Parameters
        ----------
        vectors : (n, width) tensor
            Fields of the first patient, then of the second, and so on.
        sizes
            Fields per patient.
        """
        bags = vectors.split(list(sizes))
        return torch.stack([(self.weights(bag) * bag).sum(dim=0) for bag in bags])

    def forward(self, fields: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
        """(patients, classes) logits."""
        return self.head(self.pooled(self.vectors(fields), sizes))
