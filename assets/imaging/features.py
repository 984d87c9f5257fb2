"""What was found in one CT study, and its forms: for the driver, for the command line.

radiomic features + covariates + account of the series + picture -> Extraction, JSON
"""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl

from assets.imaging.contract import FILTERED, SCALARS
from assets.imaging.series import SeriesAccount
from assets.imaging.settings import Settings
from oncoframe import facts
from oncoframe.extraction import BlockValues, Extraction, Facts, FeatureValue, Picture


@dataclass(frozen=True)
class CtFeatures:
    """Features of one study under one settings version.

    Parameters
    ----------
    settings
        Radiomics settings.
    slices, mask_voxels
        Size of the CT series and of the mask.
    series
        Every series of the folder and what became of it.
    repairs
        What was put right -> number of files.
    covariates
        Name -> value: how the scan and its row were made.
    radiomics
        Name -> value: features of the tumour.
    picture
        The mask on the CT.
    notes
        Name -> what else a person needs to trust the row.
    """

    settings: Settings
    slices: int
    mask_voxels: int
    series: tuple[SeriesAccount, ...]
    repairs: dict[str, int]
    covariates: dict[str, FeatureValue]
    radiomics: dict[str, float | None]
    picture: Picture
    notes: dict[str, Any] = field(default_factory=dict)

    def extraction(self) -> Extraction:
        """The features with the account of the series, as the driver takes them."""
        unused = Counter(account.reason for account in self.series if not account.used)
        return Extraction(
            records=len(self.series),
            used=sum(account.used for account in self.series),
            filtered=dict(unused),
            failed={},
            features={**self.covariates, **{name: self.radiomics.get(name) for name in SCALARS}},
            blocks={FILTERED: self._filtered()},
            pictures={"overlay": self.picture},
            notes={"repairs": self.repairs, **self.notes},
            facts=self._facts(),
        )

    def _facts(self) -> Facts:
        low, high = self.notes.get("hu_range", (None, None))
        roi, rule = (self.covariates.get(name) for name in ("roi", "roi_rule"))
        return Facts(
            region=None if roi is None else str(roi),
            region_rule=None if rule is None else str(rule),
            measures={} if low is None else {"lowest_hu": low, "highest_hu": high},
        )

    def _filtered(self) -> BlockValues | None:
        """Features of filtered images; None under settings without filters."""
        found = {name: self.radiomics[name] for name in self.radiomics if name not in SCALARS}
        values = [np.nan if value is None else value for value in found.values()]
        if not found:
            return None
        return BlockValues(pl.Series(list(found), dtype=pl.String), np.array(values, np.float32))

    def as_json(self) -> dict[str, Any]:
        """What ``oncoframe extract ct`` prints."""
        return {
            "modality": "ct",
            "status": "performed",
            "series": [asdict(account) for account in self.series],
            "slices": self.slices,
            "mask_voxels": self.mask_voxels,
            "settings": self.settings.name,
            "settings_version": self.covariates["settings_version"],
            "repairs": self.repairs,
            "notes": self.notes,
            "facts": {**facts.values(self.extraction()), "measures": self._facts().measures},
            "covariates": self.covariates,
            "features": self.radiomics,
        }
