"""Radiomics settings: versioned files, and the names of the features that each of them gives.

    settings/<name>.yaml, <home>/radiomics/<name>.yaml -> Settings -> feature names

Setting, image type and feature class are those of PyRadiomics' parameter files; ``exclude`` leaves
out features by pattern. Shipped files carry a version; one of a center is versioned by its content,
and checked by :mod:`assets.imaging.own_settings`. PyRadiomics is not imported.
"""

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Any

import yaml

from assets.imaging.feature_names import FEATURES
from assets.imaging.own_settings import read_own
from oncoframe.errors import SettingsError

#: Names of files: they stand in rows and labels.
_NAME = re.compile(r"[A-Za-z0-9_]{1,40}")
_VERSION_DIGITS = 8


@dataclass(frozen=True)
class Settings:
    """One way to compute radiomic features.

    Parameters
    ----------
    name
        Name of the file.
    version
        Version of a shipped file; of another one the start of the hash of its content.
    parameters
        ``setting``, ``imageType`` and ``featureClass`` as PyRadiomics takes them.
    exclude
        Patterns of features that are left out.
    """

    name: str
    version: int | str
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


def load_settings(name: str, own: Path | None = None) -> Settings:
    """Settings of that name.

    Parameters
    ----------
    name
        Name of a file, without its suffix.
    own
        Folder of a center's own settings; shipped ones cannot be changed there.

    Raises
    ------
    SettingsError
        If there is no such file, or a center's own says what cannot be done.
    """
    shipped = _shipped()
    if name in shipped:
        return shipped[name]
    file = own / f"{name}.yaml" if own else None
    if file is None or not _NAME.fullmatch(name) or not file.is_file():
        there = sorted(f.stem for f in own.glob("*.yaml")) if own else []
        raise SettingsError(
            "no such radiomics settings", where=str(own) if there else None,
            expected=", ".join([*shipped, *there]), got=name,
        )  # fmt: skip
    return own_settings(name, read_own(file))


@cache
def _shipped() -> dict[str, Settings]:
    folder = files("assets.imaging").joinpath("settings")
    contents = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in folder.iterdir())
    ordered = sorted(contents, key=itemgetter("name"))
    return {c["name"]: Settings(c["name"], c["version"], *_parts(c)) for c in ordered}


def own_settings(name: str, content: dict[str, Any]) -> Settings:
    """Settings of a center, from the content of their file."""
    text = json.dumps(content, sort_keys=True)
    return Settings(name, sha256(text.encode()).hexdigest()[:_VERSION_DIGITS], *_parts(content))


def _parts(content: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
    kinds = ("setting", "imageType", "featureClass")
    parameters = {kind: dict(content[kind] or {}) for kind in kinds if kind in content}
    # "Original:" without braces is what people write.
    parameters["imageType"] = {k: v or {} for k, v in parameters["imageType"].items()}
    return parameters, tuple(content.get("exclude") or ())
