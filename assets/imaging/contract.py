"""What a row of ``ct_features`` is; light, so that naming the features loads no imaging library."""

import re

import polars as pl

from assets.imaging.settings import load_settings
from oncoframe.contracts import Block, Contract, Feature, Modality

#: Settings unless others are chosen; their features are columns of the table.
SETTINGS = "default107"
#: Features of filtered images, which only some settings have: a vector per row.
FILTERED = "ct_filtered"

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
    Feature("settings_version", pl.String(), "1",
            "Radiomics settings, their version, and the rule that chose the mask", is_setting=True),
    Feature("mask_voxels", pl.Int64(), "1", "Voxels of the tumour mask", is_setting=True),
    Feature("mask_source", pl.String(), "1",
            "Segmentation it came from: rtstruct, seg or volume", is_setting=True),
    Feature("roi", pl.String(), "1",
            "Structure that is described, in words for structures only", is_setting=True),
    Feature("roi_rule", pl.String(), "1",
            "How it was chosen: rule, by what it was known, what was passed over for it",
            is_setting=True),
    Feature("mask_reference", pl.String(), "1",
            "What ties the segmentation to the CT: images, series, frame_of_reference, "
            "absent_images (it names others), or grid (ready volumes)", is_setting=True),
    Feature("interpolated_slices", pl.Int64(), "1",
            "Slices of the mask that were filled between contours", is_setting=True),
    Feature("modality_source", pl.String(), "1",
            "How it is known that the image is a CT: dicom (it says so), or hu_range (ready "
            "volumes, whose values can be those of a CT)", is_setting=True),
    Feature("burned_in_suspected", pl.Boolean(), "1",
            "Whether a picture may have text in it; null if nobody looked", is_setting=True),
    Feature("slices", pl.Int64(), "1", "Slices of the CT series", is_setting=True),
    Feature("manufacturer", pl.String(), "1", "Vendor of the scanner"),
    Feature("scanner_model", pl.String(), "1", "Model of the scanner, where it is a known one"),
    Feature("kernel", pl.String(), "1", "Reconstruction kernel"),
    Feature("slice_thickness_mm", pl.Float64(), "mm", "Slice thickness as the scanner states it"),
    Feature("slice_spacing_mm", pl.Float64(), "mm", "Distance of slices, from their positions"),
    Feature("pixel_spacing_mm", pl.Float64(), "mm", "Edge length of a pixel"),
    Feature("tube_voltage_kv", pl.Float64(), "kV", "Peak tube voltage"),
)  # fmt: skip


def _feature(name: str) -> Feature:
    _, kind, short = name.split("_")
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", short).lower()
    unit = "bit" if short.endswith("Entropy") else _UNITS.get(short, "1")
    if kind == "shape" and short.endswith(("Length", "Diameter", "Column", "Row", "Slice")):
        unit = "mm"
    return Feature(name, pl.Float64(), unit, f"{words.capitalize()} ({_CLASSES[kind]})")


#: Names of the features that are columns; all others stand in the vector.
SCALARS = load_settings(SETTINGS).feature_names()

CONTRACT = Contract(
    table="ct_features",
    modality=Modality.CT,
    description="Radiomic features of the tumour on CT, with how the scan was made.",
    code_version="3",
    features=(*COVARIATES, *map(_feature, SCALARS)),
    blocks=(
        Block(
            FILTERED,
            "ct_feature",
            "1",
            "Radiomic features of filtered images (wavelet, Laplacian of Gaussian)",
            fill=float("nan"),
        ),
    ),
)
