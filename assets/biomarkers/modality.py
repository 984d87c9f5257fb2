"""Biomarkers, declared: what everything about the modality is made from."""

from assets.biomarkers.contract import CONTRACT
from oncoframe.modality import ModalitySpec

MODALITY = ModalitySpec(
    contract=CONTRACT,
    extract=None,
    stage="biomarkers",
    kinds=frozenset({"polars", "deltalake"}),
    words="biomarkers",
    colour="#6a4c93",
    files=None,
    fill={},
    simulate=None,
    inspect=None,
)
