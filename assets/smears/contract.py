"""What a row of ``smear_features`` is; light, naming the features loads no image library."""

from collections.abc import Mapping

import polars as pl

from assets.smears.measures import CELL_MEASURES, QUALITY_MEASURES
from oncoframe.contracts import Block, Contract, Feature, Modality

#: Vector of all statistics of all measures of cells.
CELLS = "smear_cells"

#: How the row was made: for guards and people, in no model.
SETTINGS = (
    Feature("fields", pl.Int64(), "1", "Fields of view of the patient", is_setting=True),
    Feature("fields_used", pl.Int64(), "1", "Fields that the features describe", is_setting=True),
    Feature("fields_left_out", pl.String(), "1",
            "Why the others were not, as reason and number", is_setting=True),
    Feature("pixel_size_um", pl.Float64(), "um",
            "Edge of a pixel before fields were rescaled; null if they differ", is_setting=True),
    Feature("pixel_size_source", pl.String(), "1",
            "How it was known: declared, tiff or slide", is_setting=True),
    Feature("stain", pl.String(), "1", "Stain as the samplesheet names it", is_setting=True),
    Feature("scanner", pl.String(), "1", "Scanner as the samplesheet names it", is_setting=True),
)  # fmt: skip

#: Kinds of cells that shape alone tells -> words; each a share of the whole cells.
SHARES: Mapping[str, str] = {
    "large_round_share": "cells with one round nucleus over 75 um^2, as of blasts",
    "segmented_share": "cells with three lobes or more, as of mature neutrophils",
    "few_lobes_share": "cells with one or two lobes in much cytoplasm, as in dysplasia",
    "small_round_share": "cells with one round nucleus up to 50 um^2",
}

_COUNTS = (
    Feature("cells", pl.Int64(), "1", "Nucleated cells in the fields that were used"),
    Feature("cells_per_10e4_um2_sd", pl.Float64(), "1/10,000 um^2",
            "Standard deviation over fields of the cells per area; null of one field"),
    *(Feature(name, pl.Float64(), "1", f"Share of the {words}") for name, words in SHARES.items()),
)  # fmt: skip
_QUALITY = (
    Feature("quality", pl.Float64(), "1", "Quality of the fields from 0 to 1, mean"),
    *(
        Feature(name, pl.Float64(), unit, f"Mean over fields of the {words}")
        for name, (unit, words) in QUALITY_MEASURES.items()
    ),
)
_CELLS = tuple(
    Feature(f"{name}_{statistic}", pl.Float64(), unit, f"{said} over cells of the {words}")
    for name, (unit, words) in CELL_MEASURES.items()
    for statistic, said in (("median", "Median"), ("sd", "Standard deviation"))
)

CONTRACT = Contract(
    table="smear_features",
    modality=Modality.SMEAR,
    description="Marrow smear: size, shape, chromatin and colour of its cells, by rules.",
    code_version="1",
    features=(*SETTINGS, *_COUNTS, *_QUALITY, *_CELLS),
    blocks=(
        Block(
            CELLS,
            "smear_measure",
            "1",
            "Mean, deviation and quantiles over cells of every measure",
            fill=float("nan"),
        ),
    ),
)
