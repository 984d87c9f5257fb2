"""Radiomics settings: versioned files, and the names of the features that each of them gives.

    settings/<name>.yaml -> Settings -> feature names, without importing PyRadiomics

Setting, image type and feature class are those of PyRadiomics' parameter files; ``exclude`` leaves
out features by pattern. A change of a file needs a new ``version``: rows keep it.
"""

from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Any

import yaml

from oncoframe.errors import SettingsError

#: Feature class -> features that PyRadiomics 3.0.1 computes unless told otherwise.
FEATURES = {
    "shape": (
        "Elongation", "Flatness", "LeastAxisLength", "MajorAxisLength",
        "Maximum2DDiameterColumn", "Maximum2DDiameterRow", "Maximum2DDiameterSlice",
        "Maximum3DDiameter", "MeshVolume", "MinorAxisLength", "Sphericity", "SurfaceArea",
        "SurfaceVolumeRatio", "VoxelVolume",
    ),
    "shape2D": (
        "Elongation", "MajorAxisLength", "MaximumDiameter", "MeshSurface", "MinorAxisLength",
        "Perimeter", "PerimeterSurfaceRatio", "PixelSurface", "Sphericity",
    ),
    "firstorder": (
        "10Percentile", "90Percentile", "Energy", "Entropy", "InterquartileRange", "Kurtosis",
        "Maximum", "Mean", "MeanAbsoluteDeviation", "Median", "Minimum", "Range",
        "RobustMeanAbsoluteDeviation", "RootMeanSquared", "Skewness", "TotalEnergy", "Uniformity",
        "Variance",
    ),
    "glcm": (
        "Autocorrelation", "ClusterProminence", "ClusterShade", "ClusterTendency", "Contrast",
        "Correlation", "DifferenceAverage", "DifferenceEntropy", "DifferenceVariance", "Id", "Idm",
        "Idmn", "Idn", "Imc1", "Imc2", "InverseVariance", "JointAverage", "JointEnergy",
        "JointEntropy", "MCC", "MaximumProbability", "SumAverage", "SumEntropy", "SumSquares",
    ),
    "gldm": (
        "DependenceEntropy", "DependenceNonUniformity", "DependenceNonUniformityNormalized",
        "DependenceVariance", "GrayLevelNonUniformity", "GrayLevelVariance",
        "HighGrayLevelEmphasis", "LargeDependenceEmphasis",
        "LargeDependenceHighGrayLevelEmphasis", "LargeDependenceLowGrayLevelEmphasis",
        "LowGrayLevelEmphasis", "SmallDependenceEmphasis",
        "SmallDependenceHighGrayLevelEmphasis", "SmallDependenceLowGrayLevelEmphasis",
    ),
    "glrlm": (
        "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized", "GrayLevelVariance",
        "HighGrayLevelRunEmphasis", "LongRunEmphasis", "LongRunHighGrayLevelEmphasis",
        "LongRunLowGrayLevelEmphasis", "LowGrayLevelRunEmphasis", "RunEntropy",
        "RunLengthNonUniformity", "RunLengthNonUniformityNormalized", "RunPercentage",
        "RunVariance", "ShortRunEmphasis", "ShortRunHighGrayLevelEmphasis",
        "ShortRunLowGrayLevelEmphasis",
    ),
    "glszm": (
        "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized", "GrayLevelVariance",
        "HighGrayLevelZoneEmphasis", "LargeAreaEmphasis", "LargeAreaHighGrayLevelEmphasis",
        "LargeAreaLowGrayLevelEmphasis", "LowGrayLevelZoneEmphasis", "SizeZoneNonUniformity",
        "SizeZoneNonUniformityNormalized", "SmallAreaEmphasis", "SmallAreaHighGrayLevelEmphasis",
        "SmallAreaLowGrayLevelEmphasis", "ZoneEntropy", "ZonePercentage", "ZoneVariance",
    ),
    "ngtdm": ("Busyness", "Coarseness", "Complexity", "Contrast", "Strength"),
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """One way to compute radiomic features.

    Parameters
    ----------
    name
        Name of the file.
    version
        Version of the file.
    parameters
        ``setting``, ``imageType`` and ``featureClass`` as PyRadiomics takes them.
    exclude
        Patterns of features that are left out.
    """

    name: str
    version: int
    parameters: dict[str, dict[str, Any]]
    exclude: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name and version, as each feature row carries them."""
        return f"{self.name}-{self.version}"

    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the table."""
        # Shape of a single slice is computed only where it is asked for.
        classes = self.parameters.get("featureClass") or dict.fromkeys(
            k for k in FEATURES if k != "shape2D"
        )
        names = [
            f"{image}_{kind}_{feature}"
            for image in self.image_names()
            for kind, chosen in classes.items()
            if kind in FEATURES and (image == "original" or not kind.startswith("shape"))
            for feature in chosen or FEATURES[kind]
        ]
        return tuple(n for n in names if not any(fnmatch(n, out) for out in self.exclude))

    def image_names(self) -> tuple[str, ...]:
        """Names of the images that features are computed on.

        Raises
        ------
        SettingsError
            If a filter is none of Original, Wavelet, LoG and Gradient.
        """
        names: list[str] = []
        for filter_name, given in self.parameters["imageType"].items():
            match filter_name:
                case "Original" | "Gradient":
                    names.append(filter_name.lower())
                case "LoG":
                    names += [f"log-sigma-{s}-mm-3D".replace(".", "-") for s in given["sigma"]]
                case "Wavelet" if not given:
                    names += [f"wavelet-{''.join(band)}" for band in product("LH", repeat=3)]
                case _:
                    raise SettingsError(
                        "a filter that cannot be named", where=self.name,
                        expected="Original, Wavelet, LoG or Gradient", got=filter_name,
                    )  # fmt: skip
        return tuple(names)


@cache
def load_settings(name: str) -> Settings:
    """Settings of that name.

    Raises
    ------
    SettingsError
        If there is no such file.
    """
    folder = files("assets.imaging").joinpath("settings")
    file = folder.joinpath(f"{name}.yaml")
    if not file.is_file():
        known = sorted(f.name.removesuffix(".yaml") for f in folder.iterdir())
        raise SettingsError("no such radiomics settings", expected=", ".join(known), got=name)
    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    parameters = {k: found[k] for k in ("setting", "imageType", "featureClass") if k in found}
    return Settings(found["name"], found["version"], parameters, tuple(found.get("exclude", ())))
