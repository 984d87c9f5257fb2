"""Review of maps by hematologists: a sheet that goes out, answers that come back, how they agree.

maps -> write_review -> review.html, review.csv -> reviewers -> read_answers -> fleiss_kappa

References
----------
Fleiss JL. Measuring nominal scale agreement among many raters. Psychol Bull 1971;76:378-382.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from ml.smears.maps import Areas, FieldMap, overlay
from oncoframe.errors import StudyError

#: Answer -> words on the sheet.
ANSWERS: Mapping[str, str] = {
    "typical": "cells that speak for this class",
    "cells": "cells, but not those that speak for it",
    "background": "red cells, background or artefacts",
    "unclear": "cannot be told",
}
#: Columns of a file of answers.
_COLUMNS = ("field", "reviewer", "answer")


@dataclass(frozen=True)
class Reviewed:
    """One field of a sheet.

    Parameters
    ----------
    field
        How the sheet calls it: letters, digits, ``-`` and ``_``; nobody's name.
    pixels : (H, W, 3) array of uint8
        The field at its own size.
    found
        Its map.
    areas
        Where the highlighted area lies.
    """

    field: str
    pixels: np.ndarray
    found: FieldMap
    areas: Areas


def write_review(rows: Sequence[Reviewed], folder: Path, *, title: str) -> None:
    """Write ``review.html``, a form, and ``review.csv``, the same fields with their areas."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = [
        {
            "field": row.field,
            "label": row.found.label,
            "probability": f"{row.found.probability:.0%}",
            "areas": _in_words(row.areas),
            "picture": _embedded(row.pixels),
            "map": _embedded(overlay(row.pixels, row.found.high)),
        }
        for row in rows
    ]
    page = _templates().get_template("review.html.jinja")
    html = page.render(title=title, rows=shown, answers=ANSWERS)
    (folder / "review.html").write_text(html, encoding="utf-8")
    pl.DataFrame(
        {
            "field": [row.field for row in rows],
            "class": [row.found.label for row in rows],
            "probability": [row.found.probability for row in rows],
            "high": [row.areas.high for row in rows],
            "on_cells": [row.areas.cells for row in rows],
            "on_nuclei": [row.areas.nuclei for row in rows],
            "on_background": [row.areas.background for row in rows],
            "reviewer": [None] * len(rows),
            "answer": [None] * len(rows),
        },
        schema_overrides={"on_cells": pl.Float64, "on_nuclei": pl.Float64,
                          "on_background": pl.Float64, "reviewer": pl.String, "answer": pl.String},
    ).write_csv(folder / "review.csv")  # fmt: skip


def read_answers(files: Sequence[Path]) -> pl.DataFrame:
    """``field``, ``reviewer``, ``answer`` of all files that came back.

    Raises
    ------
    StudyError
        If a file has other columns or an unknown answer, or a reviewer answers a field twice.
    """
    tables = [pl.read_csv(file, infer_schema=False) for file in files]
    for file, table in zip(files, tables, strict=True):
        if not set(_COLUMNS) <= set(table.columns):
            raise StudyError(
                "not a file of answers", where=file.name, expected=",".join(_COLUMNS),
                got=",".join(table.columns),
            )  # fmt: skip
    answers = pl.concat([table.select(_COLUMNS) for table in tables])
    unknown = sorted(set(answers["answer"].drop_nulls()) - set(ANSWERS))
    if unknown or answers["answer"].null_count() or answers["reviewer"].null_count():
        raise StudyError(
            "an answer cannot be read", expected=f"one of {', '.join(ANSWERS)}",
            got=unknown[0] if unknown else "none",
        )  # fmt: skip
    if answers.select("field", "reviewer").is_duplicated().any():
        raise StudyError("a reviewer answered a field twice")
    return answers


def agreement(answers: pl.DataFrame) -> float | None:
    """Fleiss' kappa of the fields that every reviewer answered; see :func:`fleiss_kappa`.

    Raises
    ------
    StudyError
        If fewer than two people answered, or no field was answered by all.
    """
    reviewers = answers["reviewer"].n_unique()
    counts = (
        answers.pivot("answer", index="field", values="reviewer", aggregate_function="len")
        .fill_null(0)
        .sort("field")
        .drop("field")
        .to_numpy()
    )
    complete = counts[counts.sum(axis=1) == reviewers]
    if reviewers < 2 or not len(complete):  # noqa: PLR2004  (one does not agree)
        raise StudyError(
            "agreement needs fields that several people answered",
            got=f"{reviewers} reviewers, {len(complete)} fields answered by all",
        )
    return fleiss_kappa(complete)


def fleiss_kappa(counts: np.ndarray) -> float | None:
    r"""Agreement beyond chance, :math:`(\bar P - \bar P_e) / (1 - \bar P_e)`.

    Parameters
    ----------
    counts : (fields, answers) array of int
        People who gave each answer; the same number of people for every field.

    Returns
    -------
    At most 1; None where everybody always gave one and the same answer, which is no test.
    """
    people = int(counts[0].sum())
    share = counts.sum(axis=0) / counts.sum()
    chance = float((share**2).sum())
    observed = ((counts**2).sum(axis=1) - people) / (people * (people - 1))
    return None if chance == 1.0 else float((observed.mean() - chance) / (1 - chance))


def _in_words(found: Areas) -> str:
    if found.cells is None or found.nuclei is None or found.background is None:
        return "Nothing is highlighted: covering no part of the field lowers the probability."
    return (
        f"{found.high:.1%} of the field is highlighted; of that {found.cells:.0%} lies on cells, "
        f"{found.nuclei:.0%} on their nuclei, {found.background:.0%} on background."
    )


def _embedded(pixels: np.ndarray) -> str:
    png = BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("ml.smears"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
