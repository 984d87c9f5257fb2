"""What a row of ``ct_features`` is; light, so that naming the features loads no imaging library."""

import re

import polars as pl

from assets.contracts import Contract, Feature, Modality
from assets.imaging.settings import Settings, load_settings

#: Settings of the feature table; another choice is another code version.
SETTINGS = "default107"

_UNITS = {
    "MeshVolume": "mm^3", "VoxelVolume": "mm^3", "SurfaceArea": "mm^2",
    "SurfaceVolumeRatio": "1/mm", "Energy": "HU^2", "TotalEnergy": "HU^2 mm^3",
    "Variance": "HU^2", "10Percentile": "HU", "90Percentile": "HU", "InterquartileRange": "HU",
    "Maximum": "HU", "Mean": "HU", "MeanAbsoluteDeviation": "HU", "Median": "HU",
    "Minimum": "HU", "Range": "HU", "RobustMeanAbsoluteDeviation": "HU",
    "RootMeanSquared": "HU",
}  # fmt: skip
_CLASSES = {
    "shape": "shape of the tumour",
    "firstorder": "CT numbers in the tumour",
    "glcm": "texture, gray levels of neighbouring voxels",
    "gldm": "texture, neighbours of like gray level",
    "glrlm": "texture, runs of one gray level",
    "glszm": "texture, zones of one gray level",
    "ngtdm": "texture, voxel against its neighbourhood",
}

#: How a scan and its row were made: columns before the radiomic features.
COVARIATES = (
    Feature("settings_version", pl.String(), "1", "Radiomics settings and their version"),
    Feature("mask_voxels", pl.Int64(), "1", "Voxels of the tumour mask"),
    Feature("mask_source", pl.String(), "1", "Segmentation it came from: rtstruct, seg or volume"),
    Feature("slices", pl.Int64(), "1", "Slices of the CT series"),
    Feature("manufacturer", pl.String(), "1", "Vendor of the scanner"),
    Feature("scanner_model", pl.String(), "1", "Model of the scanner, where it is a known one"),
    Feature("kernel", pl.String(), "1", "Reconstruction kernel"),
    Feature("slice_thickness_mm", pl.Float64(), "mm", "Slice thickness as the scanner states it"),
    Feature("slice_spacing_mm", pl.Float64(), "mm", "Distance of slices, from their positions"),
    Feature("pixel_spacing_mm", pl.Float64(), "mm", "Edge length of a pixel"),
    Feature("tube_voltage_kv", pl.Float64(), "kV", "Peak tube voltage"),
)


def ct_contract(settings: Settings) -> Contract:
    """Contract of a table of radiomic features under ``settings``."""
    return Contract(
        table="ct_features",
        modality=Modality.CT,
        description="Radiomic features of the tumour on CT, with how the scan was made.",
        code_version=f"1-{settings.label}",
        features=(*COVARIATES, *(_feature(name) for name in settings.feature_names())),
    )


def _feature(name: str) -> Feature:
    image, kind, short = name.split("_")
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", short).lower()
    shown = "" if image == "original" else f" of the image filtered by {image}"
    unit = "bit" if short.endswith("Entropy") else _UNITS.get(short, "1")
    if kind == "shape" and short.endswith(("Length", "Diameter", "Column", "Row", "Slice")):
        unit = "mm"
    return Feature(name, pl.Float64(), unit, f"{words.capitalize()}{shown} ({_CLASSES[kind]})")


CONTRACT = ct_contract(load_settings(SETTINGS))
