"""Smears, declared: what everything about the modality is made from."""

from assets.smears.smear import CONTRACT, extract
from oncoframe.modality import Files, ModalitySpec

MODALITY = ModalitySpec(
    contract=CONTRACT,
    extract=extract,
    stage="smears",
    kinds=frozenset({"numpy", "deltalake"}),
    words="marrow smear",
    colour="#117733",
    files=Files(
        words="folder of fields of view (PNG, JPEG, TIFF), or a whole-slide image; "
        "with pixel_size_um, stain and scanner",
        is_folder=True,
    ),
    # A measure of too few cells may be anything.
    fill={"smear_cells": None},
    # Of few patients, and not of every specimen: assets/simulate/smears/files.py.
    simulate=None,
    inspect="assets.smears.patient",
)
