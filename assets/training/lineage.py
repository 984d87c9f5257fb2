"""Where one value comes from: the row of the lake, its file, its tool, its code, its run.

    patient, feature -> newest row known -> value and provenance -> Explanation

Reads three tables of the lake and nothing else; no feature store, no orchestrator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from typing import Any

import polars as pl

from assets.clinical.contract import MODALITY as CLINICAL
from assets.landing import intake
from oncoframe import ledger
from oncoframe.columns import Column
from oncoframe.contracts import WITHDRAWN, Block, Contract, Feature
from oncoframe.errors import StudyError
from oncoframe.extraction import signed
from oncoframe.lake import Lake
from oncoframe.ledger import Outcome
from oncoframe.point_in_time import CLOCKS, known_rows, latest_events

#: Columns of a feature row that say under which settings it was computed.
SETTINGS_COLUMNS = (
    "settings_version",
    "reference_build",
    "annotation_version",
    "expression_unit",
    "expression_level",
)


@dataclass(frozen=True)
class Explanation:
    """One value and where it comes from.

    Parameters
    ----------
    value
        None where it is not known; ``note`` says why.
    event_timestamp, created_timestamp
        When the value became true, and when the platform learned it.
    known_by
        Rows learned later were not looked at; None: all that is known.
    file, source_sha256
        Source as it landed and the hash of its content.
    settings
        What the row says of how it was computed.
    rows
        Rows of the patient in the table that were known: specimens and corrections.
    """

    patient_id: str
    feature: str
    view: str
    unit: str
    description: str
    value: Any
    note: str | None
    event_timestamp: datetime | None
    created_timestamp: datetime | None
    known_by: datetime | None
    file: str | None
    source_sha256: str | None
    tool: str | None
    code_version: str | None
    settings: dict[str, str]
    run_id: str | None
    rows: int


@dataclass(frozen=True)
class _Target:
    """A column of a feature table, or one position of a block of it."""

    contract: Contract
    column: str
    about: Feature | Block | None
    position: str | None = None


def explain(
    lake: Lake,
    contracts: Sequence[Contract],
    patient_id: str,
    feature: str,
    *,
    known_by: datetime | None = None,
) -> Explanation:
    """Newest value of a feature of one patient, and where it comes from.

    Parameters
    ----------
    lake
        Feature tables, dictionaries, ledger and landed files.
    contracts
        Feature tables.
    patient_id
        Pseudonym.
    feature
        Domain name (``BCR::ABL1``), column, position of a block (``snv_gene_burden[TP53]``), each
        also behind its table (``fusion_features__BCR::ABL1``).
    known_by
        Explain what was known then.

    Raises
    ------
    StudyError
        If no table, or more than one, has such a feature, or nothing is known of the patient.
    """
    target = _target(contracts, feature)
    rows = _rows(lake, target, patient_id, known_by)
    newest = latest_events(rows.lazy(), by=("patient_id",)).collect()
    if newest.is_empty():
        return _without_row(lake, target, patient_id, feature, known_by)
    row = newest.row(0, named=True)
    value = _value(lake, target, row[target.column])
    performed = row[target.contract.performed_column]
    note = "the assay failed" if not performed else "the source does not say"
    return _explanation(
        target,
        patient_id,
        feature,
        known_by,
        value=value,
        note=note if value is None else None,
        event_timestamp=row["event_timestamp"],
        created_timestamp=row["created_timestamp"],
        file=_file(lake, target.contract, patient_id, row["source_sha256"]),
        source_sha256=row["source_sha256"],
        tool=row["tool"],
        code_version=row["code_version"],
        settings={n: row[n] for n in SETTINGS_COLUMNS if row.get(n) is not None},
        run_id=row["run_id"],
        rows=len(rows),
    )


def _explanation(
    target: _Target, patient_id: str, feature: str, known_by: datetime | None, **found: Any
) -> Explanation:
    unknown = dict.fromkeys(
        ("event_timestamp", "created_timestamp", "file", "source_sha256", "tool", "code_version",
         "run_id")
    )  # fmt: skip
    said = f"Whether the {target.contract.modality} assay gave a result."
    return Explanation(
        **{
            "patient_id": patient_id,
            "feature": feature,
            "view": target.contract.table,
            "unit": target.about.unit if target.about else "1",
            "description": target.about.description if target.about else said,
            "known_by": known_by,
            "settings": {},
            "rows": 0,
            **unknown,
            **found,
        }
    )


def _target(contracts: Sequence[Contract], feature: str) -> _Target:
    found: list[_Target] = []
    asked = Column.parse(feature)
    for contract in contracts:
        name = asked.within if asked.table == contract.table else feature
        found += [
            _Target(contract, each.column, each)
            for each in contract.features
            if name in (each.name, each.column)
        ]
        if name == contract.performed_column:
            found.append(_Target(contract, name, None))
        found += [
            _Target(contract, each.name, each, asked.position)
            for each in contract.blocks
            if asked.position is not None
            and asked.name == each.name
            and asked.table in {"", contract.table}
        ]
    # Of a biomarker and what one assay says of it, the latter names its file.
    findings = [t for t in found if isinstance(t.about, Feature) and t.about.is_finding]
    if len(findings or found) == 1:
        return (findings or found)[0]
    tables = ", ".join(target.contract.table for target in found)
    raise StudyError(
        f"no feature table has {feature}" if not found else f"{len(found)} tables have {feature}",
        expected="a column such as NPM1_variants, or of a block, such as snv_gene_burden[TP53]"
        if not found
        else f"its table before it: one of {tables}, then two underscores",
        hint="The names are in the sidecar of a frame: oncoframe frame show ID --json.",
    )


def _rows(lake: Lake, target: _Target, patient_id: str, known_by: datetime | None) -> pl.DataFrame:
    """Rows of the patient that are known."""
    contract = target.contract
    rows = known_rows(lake.scan_features(contract).filter(patient_id=patient_id), known_by)
    present = rows.collect_schema().names()
    wanted = dict.fromkeys(
        [
            "patient_id", *CLOCKS, "source_sha256", "tool", "code_version",
            contract.performed_column, *SETTINGS_COLUMNS, target.column, WITHDRAWN,
        ]
    )  # fmt: skip
    return rows.select(name for name in wanted if name in present).collect()


def _value(lake: Lake, target: _Target, stored: Any) -> Any:
    if target.position is None or stored is None:
        return stored
    axis = target.about.axis if isinstance(target.about, Block) else ""
    positions = lake.dictionary(axis).filter(pl.col("name") == target.position)["position"]
    if positions.is_empty():
        raise StudyError(
            f"axis {axis} has no {target.position}", where=f"dictionary of {target.column}"
        )
    fill = target.about.fill if isinstance(target.about, Block) else float("nan")
    value = float(stored[positions[0]] if positions[0] < len(stored) else fill)
    return None if isnan(value) else value


def _file(lake: Lake, contract: Contract, patient_id: str, digest: str) -> str | None:
    """Path under which the content landed, also if it was replaced since."""
    if not lake.exists(intake.TABLE):
        return None
    landed = (
        intake.snapshots(lake)
        .filter(patient_id=patient_id, modality=contract.modality)
        .select("path", "sha256", "sample", "seen_at")
        .sort("seen_at")
        .collect()
    )
    if landed.is_empty() and contract.modality == CLINICAL:
        return f"clinical tables of the landing zone, by dbt model {contract.table}"
    if landed.is_empty():
        return "no file: made from the feature tables of the assays"
    rows = landed.select("path", "sha256", "sample").iter_rows()
    same = [path for path, content, sample in rows if signed(content, sample) == digest]
    return same[-1] if same else None


def _without_row(
    lake: Lake, target: _Target, patient_id: str, feature: str, known_by: datetime | None
) -> Explanation:
    """Why there is nothing to explain, as the ledger tells it."""
    entries = ledger.current(lake).filter(patient_id=patient_id)
    mine = entries.filter(modality=target.contract.modality)
    if mine.is_empty() and entries.is_empty():
        raise StudyError("nothing is known of this patient", where=f"patient {patient_id}")
    if mine.is_empty() or mine.row(0, named=True)["outcome"] == Outcome.NOT_PERFORMED:
        note = f"the {target.contract.modality} assay was not performed"
        return _explanation(target, patient_id, feature, known_by, value=None, note=note)
    entry = mine.row(0, named=True)
    if entry["outcome"] == Outcome.OK:
        note = "nothing was known yet at that time"
        return _explanation(target, patient_id, feature, known_by, value=None, note=note)
    return _explanation(
        target,
        patient_id,
        feature,
        known_by,
        value=None,
        note=f"{entry['outcome']}: {entry['message']}",
        **{n: entry[n] for n in ("file", "source_sha256", "tool", "code_version", "run_id")},
    )
