"""A training frame as a data scientist holds it: rows, labels, meanings, who was left out.

    frames/<frame_id> -> read_training_frame -> TrainingFrame -> Polars, pandas, matrix, notebook

How a frame is built is in ``frames.py``, how its vectors become columns in :mod:`ml.frames`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl

from assets.training.sidecar import facts, read_sidecar, recorded_study
from ml.frames.design_matrix import DesignMatrix, design_matrix
from ml.frames.expand import chosen
from ml.frames.expand import expand as expanded
from ml.frames.frame import KEY_COLUMNS, Frame, read_frame
from oncoframe.point_in_time import utc_time

#: What :attr:`TrainingFrame.columns` says of a column.
_MEANINGS = ("modality", "feature", "unit", "description", "known", "kind")
_SHOWN_ROWS = 5


@dataclass(frozen=True, eq=False, repr=False)
class TrainingFrame:
    """Patients of a study, one row each, with their label and what was known of them.

    Parameters
    ----------
    about
        Content of ``frame.json``: identity, versions of the tables, guards.
    data
        The frame as the modules of models take it.

    Examples
    --------
    >>> import oncoframe as of
    >>> frame = of.Home().frame("synthetic_leukemia", modalities=["fusion", "clinical"])
    >>> len(frame), frame.study
    (12, 'synthetic_leukemia')
    >>> frame.excluded["reason"].to_list()
    ['a file of the patient is in quarantine']
    >>> frame.columns.filter(column="fusion_features__fusion_count")["known"].item()
    'at_index'
    >>> matrix = frame.design_matrix(["clinical"])
    >>> "clinical_features__age_at_index_years" in matrix.features
    True
    """

    about: Mapping[str, Any]
    data: Frame

    @property
    def id(self) -> str:
        """Name of the frame: a hash of all that it was made of."""
        return self.data.sidecar.frame_id

    @property
    def study(self) -> str:
        """Name of the study."""
        return self.data.sidecar.study

    @property
    def as_of(self) -> datetime:
        """Nothing learned later is in it."""
        return utc_time(self.about["as_of"], where=f"frame {self.id}")

    @property
    def rows(self) -> pl.DataFrame:
        """(n) frame sorted by patient: patient, index time, label, then the features."""
        return self.data.rows

    @property
    def labels(self) -> pl.Series:
        """(n) series of labels, in the order of the rows."""
        return self.data.rows["label"]

    @property
    def columns(self) -> pl.DataFrame:
        """What each feature column means: assay, name in the field, unit, when it is known."""
        told = self.about["columns"]
        return pl.DataFrame(
            [{"column": name, **{k: told[name].get(k) for k in _MEANINGS}} for name in told],
            schema=dict.fromkeys(("column", *_MEANINGS), pl.String),
        )

    @property
    def excluded(self) -> pl.DataFrame:
        """Patients who were left out: ``patient_id``, ``reason``."""
        left_out = self.about.get("excluded", {}).items()
        return pl.DataFrame(
            [(patient, why) for why, patients in left_out for patient in patients],
            schema={"patient_id": pl.String, "reason": pl.String},
            orient="row",
        )

    @property
    def guards(self) -> Mapping[str, Any]:
        """Verdict on leakage and mixed measurements."""
        return self.data.sidecar.guards

    def to_polars(
        self, columns: Sequence[str] | None = None, *, expand: bool = False
    ) -> pl.DataFrame:
        """Rows as a Polars frame.

        Parameters
        ----------
        columns
            Feature columns to keep, in that order, behind patient, index time and label; all
            unless told.
        expand
            A column per position of each vector, under a name that is safe for every tool.

        Raises
        ------
        StudyError
            If a column is not of the frame.

        Examples
        --------
        >>> import oncoframe as of
        >>> frame = of.Home().frame("synthetic_leukemia")
        >>> frame.to_polars(["clinical_features__age_at_index_years"]).columns
        ['patient_id', 'index_timestamp', 'label', 'clinical_features__age_at_index_years']
        """
        if expand:
            return expanded(self.data, columns)
        if columns is None:
            return self.rows
        return self.rows.select(*KEY_COLUMNS, *chosen(self.data, columns))

    def to_pandas(
        self, columns: Sequence[str] | None = None, *, expand: bool = False
    ) -> pd.DataFrame:
        """Rows as a pandas frame, with the columns and names of :meth:`to_polars`."""
        return self.to_polars(columns, expand=expand).to_pandas()

    def design_matrix(self, modalities: Sequence[str] | None = None) -> DesignMatrix:
        """What a model of the study may see: patients, labels, and features as named columns.

        Columns that the study excludes, and those that say how a row was made, are not in it.

        Parameters
        ----------
        modalities
            Whose columns; all of the frame unless told.

        Raises
        ------
        StudyError
            If the frame has no column of these modalities.
        """
        present = tuple(dict.fromkeys(self.data.sidecar.views.values()))
        exclude = recorded_study(self.about).features.exclude
        return design_matrix(
            self.data, present if modalities is None else modalities, exclude=exclude
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return (
            f"TrainingFrame({self.id!r}, study={self.study!r}, as_of={self.as_of.isoformat()!r}, "
            f"patients={len(self)}, columns={len(self.about['columns'])})"
        )

    def _repr_html_(self) -> str:
        lines = "".join(
            f"<tr><td>{escape(what)}</td><td>{escape(value)}</td></tr>"
            for what, value in facts(self.about)
        )
        head = self.rows.head(_SHOWN_ROWS)._repr_html_()
        named = f"<b>Frame {escape(self.id)}</b> of {escape(self.study)}"
        return f"<p>{named}, as of {self.as_of:%Y-%m-%d %H:%M} UTC</p><table>{lines}</table>{head}"


def read_training_frame(folder: Path) -> TrainingFrame:
    """Frame of a folder.

    Raises
    ------
    StudyError
        If there is no such frame, or a file of it is not what it should be.
    """
    return TrainingFrame(read_sidecar(folder.parent, folder.name), read_frame(folder))
