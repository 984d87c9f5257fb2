"""What a model sees of a frame: numbers and categories with names, nothing fitted.

    Frame -> choose columns (modality set, exclusions, known at index) -> expand blocks -> matrix

Whatever is learned from several patients (which genes vary, which categories exist) is a step of
the recipe, fitted inside the training fold; see :mod:`ml.pipelines.preprocessing`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl

from ml.frames.expand import expand_block, side_by_side
from ml.frames.frame import Frame, FrameColumn
from ml.frames.leakage import refuse_late_columns
from ml.smears.bags import FIELDS
from oncoframe.errors import StudyError
from oncoframe.names import decode


@dataclass(frozen=True)
class DesignMatrix:
    """Features and label of every patient of a frame, one row each.

    Parameters
    ----------
    patient_ids : (n,) array of str
        Sorted; beside the features, never among them.
    labels : (n,) array of str
        Class of each patient.
    features : (n, p) data frame
        float32 columns (NaN: not performed, not measured), then object columns of text
        categories (None: not known). Named by frame column in domain names, block positions as
        ``<column>[<name>]``.
    modalities : (p,) tuple of str
        Modality of each feature.
    """

    patient_ids: np.ndarray
    labels: np.ndarray
    features: pd.DataFrame
    modalities: tuple[str, ...]


def design_matrix(
    frame: Frame, modalities: Sequence[str], *, exclude: Mapping[str, str] | None = None
) -> DesignMatrix:
    """Matrix of the frame's columns that belong to some modalities.

    Parameters
    ----------
    frame
        Rows and what the columns mean.
    modalities
        Modalities whose columns the model may see.
    exclude
        Frame column -> reason, as :attr:`ml.study.definition.Features.exclude`.

    Raises
    ------
    StudyError
        If a column is known only after the index event, is of a type no model takes, or has
        positions its dictionary does not name; or if no column is left.
    """
    chosen = {
        name: column
        for name, column in frame.sidecar.columns.items()
        if column.modality in modalities
        and column.kind != "setting"
        and name not in (exclude or {})
    }
    refuse_late_columns(chosen, where=frame.sidecar.frame_id)
    if not chosen:
        raise StudyError(
            "the frame has no column of these modalities",
            where=frame.sidecar.frame_id,
            expected=f"columns of {', '.join(modalities)}",
        )
    numeric: list[tuple[FrameColumn, list[str], np.ndarray]] = []
    text: dict[str, tuple[str, np.ndarray]] = {}
    for name, column in chosen.items():
        values = frame.rows[name]
        if column.kind == "block" and values.null_count() == len(values):
            continue  # an assay that nobody had would be thousands of empty columns
        if column.kind == "block":
            block = expand_block(frame, name)
            numeric.append((column, block.names, block.values))
        elif values.dtype.is_numeric() or values.dtype == pl.Boolean:
            vector = values.cast(pl.Float32).to_numpy().reshape(-1, 1)
            numeric.append((column, [decode(name)], vector))
        elif values.dtype == pl.String:
            text[decode(name)] = (column.modality, values.to_numpy())
        else:
            raise StudyError(
                f"column {name} is neither number, flag nor text",
                where=frame.sidecar.frame_id,
                got=str(values.dtype),
            )
    return DesignMatrix(
        patient_ids=frame.rows["patient_id"].to_numpy(),
        labels=frame.rows["label"].to_numpy(),
        features=_data_frame(frame.rows.height, numeric, text),
        modalities=(
            *(column.modality for column, names, _ in numeric for _ in names),
            *(modality for modality, _ in text.values()),
        ),
    )


def bag_matrix(frame: Frame) -> DesignMatrix:
    """Matrix of one column: which fields of a smear each patient has, by their hash.

    Raises
    ------
    StudyError
        If the frame does not say.
    """
    named = [n for n, column in frame.sidecar.columns.items() if column.feature == FIELDS]
    if not named:
        raise StudyError(
            "the frame does not say which fields of smears its patients have",
            where=frame.sidecar.frame_id,
            expected=f"a column {FIELDS}",
        )
    values = frame.rows[named[0]]
    return DesignMatrix(
        patient_ids=frame.rows["patient_id"].to_numpy(),
        labels=frame.rows["label"].to_numpy(),
        features=pd.DataFrame({decode(named[0]): values.to_numpy()}, dtype=object),
        modalities=(frame.sidecar.columns[named[0]].modality,),
    )


def typical_patient(features: pd.DataFrame) -> pd.DataFrame:
    """(1, p) data frame with the median of each number and the most frequent category.

    Shows the shape of a model's input without showing a patient: a text that one patient alone has
    is left out.

    Parameters
    ----------
    features : (n, p) data frame
        Of a design matrix: numbers first, then categories.
    """
    row = features.median(numeric_only=True).astype(np.float32).to_frame().T
    for name in features.columns[len(row.columns) :]:
        counts = features[name].value_counts()
        shared = counts[(counts == counts.max()) & (counts > 1)]
        row[name] = [min(shared.index, default=None)]
    return row


def _data_frame(
    height: int,
    numeric: Sequence[tuple[FrameColumn, list[str], np.ndarray]],
    text: Mapping[str, tuple[str, np.ndarray]],
) -> pd.DataFrame:
    matrix = side_by_side([values for _, _, values in numeric], height)
    numbers = pd.DataFrame(matrix, columns=[n for _, names, _ in numeric for n in names])
    categories = pd.DataFrame({name: values for name, (_, values) in text.items()}, dtype=object)
    return pd.concat([numbers, categories], axis="columns") if text else numbers
