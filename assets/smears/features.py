"""Features of a smear: each field read by itself, and the patient as what his cells are like.

pixels -> read_field -> FieldReading
readings of the used fields -> summarise -> features and vector of the patient
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from assets.smears.cells import SCHEMA, measure_cells
from assets.smears.measures import CELL_MEASURES, QUALITY_MEASURES
from assets.smears.nuclei import find_cells
from assets.smears.quality import FieldQuality, measure_quality
from oncoframe.extraction import BlockValues, FeatureValue

#: Quantiles of each measure that the vector holds.
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
#: Areas and shares that tell kinds of cells, see :data:`assets.smears.contract.SHARES`. Nuclei of
#: blasts are over 10 um wide, those of lymphocytes and erythroblasts below 8 um (Bain, Blood Cells,
#: 5th ed. 2015).
_LARGE_UM2, _SMALL_UM2, _ROUND, _MUCH_CYTOPLASM, _SEGMENTED = 75.0, 50.0, 0.92, 0.4, 3


@dataclass(frozen=True)
class FieldReading:
    """What one field says.

    Parameters
    ----------
    quality
        Whether it can be used.
    cells
        One row per cell, see :func:`assets.smears.cells.measure_cells`.
    """

    quality: FieldQuality
    cells: pl.DataFrame


def read_field(pixels: np.ndarray) -> FieldReading:
    """Quality and cells of a field; of one that cannot be used no cell is measured.

    Parameters
    ----------
    pixels : (H, W, 3) array of uint8
        RGB, at the declared size of a pixel.
    """
    cells = find_cells(pixels)
    quality = measure_quality(pixels, cells)
    measured = pl.DataFrame(schema=SCHEMA) if quality.reason else measure_cells(pixels, cells)
    return FieldReading(quality, measured)


def summarise(readings: Sequence[FieldReading]) -> tuple[dict[str, FeatureValue], BlockValues]:
    """Features of a patient, and the vector of all statistics, from the fields that are used.

    Cells at the edge of a field are counted, and described by nothing that a cut would change:
    they are left out of every measure. A statistic of too few cells is null, in the vector NaN.
    """
    cells = pl.concat([reading.cells for reading in readings])
    whole = cells.filter(~pl.col("is_cut"))
    density = [reading.quality.measures["cells_per_10e4_um2"] for reading in readings]
    features: dict[str, FeatureValue] = {
        "cells": len(cells),
        "cells_per_10e4_um2_sd": _number(pl.Series(density, dtype=pl.Float64).std()),
        **_shares(whole),
        "quality": float(np.mean([reading.quality.score for reading in readings])),
        **{name: _mean(readings, name) for name in QUALITY_MEASURES},
    }
    for name in CELL_MEASURES:
        features[f"{name}_median"] = _number(whole[name].median())
        features[f"{name}_sd"] = _number(whole[name].std())
    return features, _vector(whole)


def _shares(whole: pl.DataFrame) -> dict[str, FeatureValue]:
    area, is_round = pl.col("nucleus_area_um2"), pl.col("nucleus_solidity") >= _ROUND
    lobes = pl.col("nucleus_lobes")
    kinds = {
        "large_round_share": is_round & (area > _LARGE_UM2),
        "segmented_share": lobes >= _SEGMENTED,
        "few_lobes_share": (lobes < _SEGMENTED) & (pl.col("nucleus_share") < _MUCH_CYTOPLASM),
        "small_round_share": is_round & (area <= _SMALL_UM2),
    }
    found = whole.select(rule.mean().alias(name) for name, rule in kinds.items())
    return {name: _number(found[name].item()) for name in kinds}


def _vector(whole: pl.DataFrame) -> BlockValues:
    statistics: dict[str, float | None] = {}
    for name in CELL_MEASURES:
        column = whole[name]
        statistics |= {f"{name}_mean": _number(column.mean()), f"{name}_sd": _number(column.std())}
        for quantile in _QUANTILES:
            value = _number(column.quantile(quantile, "linear"))
            statistics[f"{name}_p{round(100 * quantile):02d}"] = value
    values = np.array([np.nan if value is None else value for value in statistics.values()])
    return BlockValues(pl.Series([*statistics]), values.astype(np.float32))


def _mean(readings: Sequence[FieldReading], name: str) -> float | None:
    told = [value for reading in readings if (value := reading.quality.measures[name]) is not None]
    return float(np.mean(told)) if told else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
