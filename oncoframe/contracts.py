"""Contracts of the feature tables: what a row is, column by column.

    contract -> schema of the lake table -> Feast view -> columns of a training frame

A contract is written once, beside the science that fills it; schema, Feast view and feature
dictionary are derived from it. What does not belong here: reading files, writing tables.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import polars as pl

from oncoframe.errors import ContractViolation
from oncoframe.names import encode


class Modality(StrEnum):
    """Modalities that code mentions by name; all there are say :mod:`oncoframe.modalities`.

    Smears and notes have no declaration yet: a samplesheet may list them, and nobody reads them.
    """

    SNV = "snv"
    SV = "sv"
    CNV = "cnv"
    EXPRESSION = "expression"
    FUSION = "fusion"
    CT = "ct"
    SMEAR = "smear"
    NOTE = "note"


class Status(StrEnum):
    """What became of an assay: three different things, never mixed with a negative result."""

    PERFORMED = "performed"
    FAILED = "failed"
    NOT_PERFORMED = "not_performed"


class Known(StrEnum):
    """When a column is known, relative to the index event (diagnosis) of its patient."""

    AT_INDEX = "at_index"
    AFTER_INDEX = "after_index"


UTC_TIME = pl.Datetime("us", "UTC")

#: Columns before the features of every table.
KEY_COLUMNS: dict[str, pl.DataType] = {
    "patient_id": pl.String(),
    "event_timestamp": UTC_TIME,
    "created_timestamp": UTC_TIME,
}

#: Columns after the features of every table: where the row came from.
PROVENANCE_COLUMNS: dict[str, pl.DataType] = {
    "reference_build": pl.String(),
    "annotation_version": pl.String(),
    "tool": pl.String(),
    "site": pl.String(),
    "source_sha256": pl.String(),
    "code_version": pl.String(),
    "run_id": pl.String(),
}


#: True in a row that takes back all earlier ones of its patient and event time: the landing zone
#: no longer has an assay of that date. Null and false: the row stands.
WITHDRAWN = "withdrawn"


#: What the columns beside the features mean.
MEANINGS: dict[str, str] = {
    "patient_id": "Pseudonym of the patient.",
    "event_timestamp": "When the finding became true: the specimen was taken. UTC.",
    "created_timestamp": "When the platform learned it; a correction has a later one. UTC.",
    "reference_build": "Genome build of the file.",
    "annotation_version": "Gene annotation that names the genes.",
    "tool": "Tool that wrote the file.",
    "site": "Where the patient was seen.",
    "source_sha256": "Hash of what was read.",
    "code_version": "Version of the reader; another one may read other values.",
    "run_id": "Run that wrote the row.",
    WITHDRAWN: "True: all earlier rows of this patient and event_timestamp are taken back.",
}
#: Of the flag :attr:`Contract.performed_column`.
PERFORMED_MEANING = "The assay was performed; false where it failed."
#: How the rows of any feature table are read.
CLOCKS = (
    "A row counts for a question if it became true by the time that is asked about "
    "(event_timestamp) and was learned by then (created_timestamp). A correction is a new row with "
    "a later created_timestamp; withdrawn is true in a row that takes earlier ones back. A null "
    "was not measured; an assay that failed is a row whose <modality>_performed is false; one "
    "that was not performed has no row."
)


@dataclass(frozen=True)
class Feature:
    """One scalar column.

    Parameters
    ----------
    name
        Domain name (``BCR::ABL1``); the column is called :attr:`column`.
    dtype
        Polars type of the values; every value may be null (assay failed, nothing to measure).
    unit
        Unit of the values (``1`` for counts and flags).
    description
        What the value means, for a clinician-analyst.
    known
        When it is known relative to the index event.
    twin
        Column of the table before it with a name equal up to case; found by the contract.
    is_setting
        Whether it says how the row was made, not what was found: in frames, for guards and
        people, but in no model.
    is_finding
        Whether it is what one assay says of a biomarker of the panel: a service that serves the
        biomarkers leaves it out.
    """

    name: str
    dtype: pl.DataType
    unit: str
    description: str
    known: Known = Known.AT_INDEX
    twin: str | None = None
    is_setting: bool = False
    is_finding: bool = False

    @property
    def column(self) -> str:
        """Safe column name, see :mod:`oncoframe.names`."""
        return encode(self.name, unlike=self.twin)


@dataclass(frozen=True)
class Block:
    """A wide block: one float32 vector per row, positions named by the dictionary of its axis.

    Parameters
    ----------
    name
        Column of the vector.
    axis
        Dictionary that names the positions (``gene``); several blocks may share one.
    unit, description, known
        As for :class:`Feature`.
    fill
        Value of a position that a row does not mention: 0.0 where absence in a performed assay
        is a zero (burden of a gene without variants), NaN where it is unknown (a gene that the
        quantification did not cover).
    """

    name: str
    axis: str
    unit: str
    description: str
    fill: float
    known: Known = Known.AT_INDEX


@dataclass(frozen=True)
class Contract:
    """One feature table: a row per patient and event time.

    Parameters
    ----------
    table
        Name of the lake table, the Dagster asset and the Feast view.
    modality
        Name before ``_performed``, see :class:`oncoframe.modality.ModalitySpec`.
    description
        For the Dagster UI and the feature dictionary.
    code_version
        Changes whenever the same file would give other values.
    features, blocks
        The columns, in order.
    """

    table: str
    modality: str
    description: str
    code_version: str
    features: tuple[Feature, ...] = ()
    blocks: tuple[Block, ...] = ()

    def __post_init__(self) -> None:
        others = [
            *KEY_COLUMNS,
            self.performed_column,
            *(block.name for block in self.blocks),
            *PROVENANCE_COLUMNS,
            WITHDRAWN,
        ]
        object.__setattr__(self, "features", _with_twins(self.features, others))
        # Delta and DuckDB take columns that are equal up to case for one.
        names = [name.lower() for name in (*others, *(f.column for f in self.features))]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            msg = f"columns {', '.join(twice)} of {self.table} are there twice"
            raise ValueError(msg)

    @property
    def performed_column(self) -> str:
        """Flag that tells a measured row from a failed assay."""
        return f"{self.modality}_performed"

    def schema(self) -> dict[str, pl.DataType]:
        """Column name -> Polars type of the lake table, in order."""
        return {
            **KEY_COLUMNS,
            self.performed_column: pl.Boolean(),
            **{feature.column: feature.dtype for feature in self.features},
            **{block.name: pl.List(pl.Float32()) for block in self.blocks},
            **PROVENANCE_COLUMNS,
            WITHDRAWN: pl.Boolean(),
        }

    def meanings(self) -> dict[str, dict[str, str]]:
        """Column name -> ``comment``, of features also ``unit`` and ``known``: for other tools."""
        features: dict[str, Feature | Block] = {
            **{feature.column: feature for feature in self.features},
            **{block.name: block for block in self.blocks},
        }
        return {
            **{name: {"comment": meaning} for name, meaning in MEANINGS.items()},
            self.performed_column: {"comment": PERFORMED_MEANING},
            **{
                name: {"comment": about.description, "unit": about.unit, "known": about.known.value}
                for name, about in features.items()
            },
        }

    def check(self, rows: pl.DataFrame) -> None:
        """Refuse rows that do not fit.

        Raises
        ------
        ContractViolation
            If columns or types differ, a key is null, a scalar is infinite or NaN, a vector holds
            an infinity, or a patient has two rows of one event time in ``rows``.
        """
        expected = pl.Schema(self.schema())
        if rows.schema != expected:
            wrong = _difference(expected, rows.schema)
            raise ContractViolation("rows do not fit the table", where=self.table, got=wrong)
        keys = [*KEY_COLUMNS, self.performed_column, "source_sha256", "code_version", "run_id"]
        for column in keys:
            if rows[column].null_count():
                raise ContractViolation(
                    f"column {column} must not be null",
                    where=self.table,
                    got=f"{rows[column].null_count()} null values",
                )
        for feature in self.features:
            if feature.dtype.is_float():
                bad = rows[feature.column].is_finite().not_().sum()
                if bad:
                    raise ContractViolation(
                        f"column {feature.column} must be finite or null",
                        where=self.table,
                        got=f"{bad} values that are infinite or NaN",
                    )
        for block in self.blocks:
            bad = rows[block.name].explode().is_infinite().sum()
            if bad:
                raise ContractViolation(
                    f"vector {block.name} must be finite or NaN",
                    where=self.table,
                    got=f"{bad} infinite values",
                )
        duplicates = rows.select("patient_id", "event_timestamp").is_duplicated().sum()
        if duplicates:
            raise ContractViolation(
                "a patient has one row per event time",
                where=self.table,
                got=f"{duplicates} rows that share theirs",
            )


def _with_twins(features: tuple[Feature, ...], others: list[str]) -> tuple[Feature, ...]:
    """Features, each knowing the name before it that is equal up to case."""
    first = {name.lower(): name for name in others}
    for feature in features:
        first.setdefault(feature.name.lower(), feature.name)
    twins = (first[feature.name.lower()] for feature in features)
    return tuple(
        feature if twin == feature.name else replace(feature, twin=twin)
        for feature, twin in zip(features, twins, strict=True)
    )


def _difference(expected: pl.Schema, got: pl.Schema) -> str:
    missing = [name for name in expected if name not in got]
    extra = [name for name in got if name not in expected]
    other = [
        f"{name} as {got[name]} instead of {expected[name]}"
        for name in expected
        if name in got and got[name] != expected[name]
    ]
    parts = [
        f"missing {', '.join(missing)}" if missing else "",
        f"unknown {', '.join(extra)}" if extra else "",
        ", ".join(other),
        "" if missing or extra or other else "another column order",
    ]
    return "; ".join(part for part in parts if part)
