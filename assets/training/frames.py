"""Training frames: the join of a study as of a time, named by its content, built again at will.

    population -> pull (point-in-time join) -> implausible values -> guards -> empty columns dropped
    -> frame.parquet + frame.json + dictionaries

The id is a hash over entity rows, table versions, view definitions, study and code: the same data
and the same code give the same id and the same bytes. How the join is done is the feature store's
business; it arrives here as a function.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from assets.training.data_version import CODE_VERSION, frame_tables, views_sha256
from assets.training.measurement import how_measured, without_odd_ones
from assets.training.population import Population, select_population
from assets.training.recorded import recorded_rows, recorded_types
from assets.training.sidecar import (
    FRAME,
    OTHER_VERSION,
    SIDECAR,
    frame_columns,
    read_sidecar,
    recorded_study,
)
from ml.frames.frame import SITES, FrameColumn
from ml.frames.implausible import Implausible, judge_values
from ml.frames.leakage import refuse_label_columns, refuse_late_columns, refuse_mixed, verdict
from ml.study.definition import Study
from oncoframe import ledger
from oncoframe.contracts import UTC_TIME, Contract
from oncoframe.errors import StudyError
from oncoframe.hashing import content_hash
from oncoframe.lake import Lake, dictionary_table

_ID_DIGITS = 16

#: Entities (patient_id, event_timestamp, known_by) and table versions -> joined columns, in the
#: order of the entities, features named ``<table>__<column>``.
Pull = Callable[[pl.DataFrame, dict[str, int | None]], pl.DataFrame]


@dataclass(frozen=True)
class FrameRequest:
    """What a frame is asked for.

    Parameters
    ----------
    study
        Population, label and feature service.
    as_of
        Nothing learned later is used; None: all that is known.
    modalities
        Feature tables to take in; None: all of the service.
    everyone
        Take in patients without a label too: a frame to score, that no model is trained on.
    cohort
        Only patients of this site: a frame to validate, that no model is trained on.
    """

    study: Study
    as_of: datetime | None = None
    modalities: tuple[str, ...] | None = None
    everyone: bool = False
    cohort: str | None = None


class FrameBuilder:
    """Builds frames of one lake into one folder.

    Parameters
    ----------
    lake
        Feature tables, labels, cohort, ledger and dictionaries.
    folder
        One subfolder per frame id.
    contracts
        Feature tables of the service, in order.
    pull
        The point-in-time join.
    """

    def __init__(self, lake: Lake, folder: Path, contracts: Sequence[Contract], pull: Pull) -> None:
        self.lake = lake
        self.folder = folder
        self.contracts = contracts
        self.pull = pull

    def build(self, request: FrameRequest) -> dict[str, Any]:
        """Build the frame of a request, unless it is there already, and return its sidecar.

        Raises
        ------
        StudyError
            If a modality is unknown, nothing was learned by then, or no patient is left.
        """
        contracts = self._contracts(request.modalities)
        versions = self._versions(contracts)
        as_of = request.as_of or self._newest_knowledge(versions)
        return self._build(
            request.study, contracts, versions, as_of,
            everyone=request.everyone, cohort=request.cohort,
        )  # fmt: skip

    def _build(
        self,
        study: Study,
        contracts: Sequence[Contract],
        versions: dict[str, int | None],
        as_of: datetime,
        *,
        everyone: bool,
        cohort: str | None = None,
    ) -> dict[str, Any]:
        columns = frame_columns(contracts)
        population, measured = _population(
            self.lake, study, _tables(columns), versions, as_of, everyone=everyone, cohort=cohort
        )
        views = views_sha256(contracts)
        identity = {
            "study": study.model_dump(mode="json"),
            "as_of": as_of.isoformat(),
            "entities": content_hash(population.members),
            "versions": versions,
            "views": views,
            "code_version": CODE_VERSION,
            **({"everyone": True} if everyone else {}),
            **({} if cohort is None else {"cohort": cohort}),
        }
        frame_id = sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:_ID_DIGITS]
        if (self.folder / frame_id / SIDECAR).exists():
            return read_sidecar(self.folder, frame_id)
        same = refuse_mixed(measured, study.guards.same, where=f"study {study.name}")
        pulled = self.pull(_entities(population, as_of), versions)
        joined, implausible = _join(self.lake, study, population, pulled, columns, versions)
        guards = _guarded(joined, study, columns, same, everyone=everyone)
        # A frame to ask a model about keeps what is empty in it: the model takes it as not known.
        empty = [] if everyone or cohort is not None else _empty(joined, columns)
        frame = joined.drop(empty)
        sidecar = {
            "frame_id": frame_id,
            "study": study.name,
            "study_definition": identity["study"],
            "as_of": identity["as_of"],
            "label_name": study.label.name,
            "label_version": study.label.version,
            "modalities": [contract.modality for contract in contracts],
            "rows": len(frame),
            "columns": {name: about for name, about in columns.items() if name not in empty},
            "empty_columns": {name: columns[name] for name in empty},
            "performed_share": {
                about["modality"]: frame[name].mean()
                for name, about in columns.items()
                if about["kind"] == "performed"
            },
            "excluded": _excluded(population),
            "unread": {
                modality: who["patient_id"].to_list()
                for (modality,), who in population.unread.group_by("modality", maintain_order=True)
            },
            "guards": {**guards, "implausible": [asdict(one) for one in implausible]},
            "everyone": everyone,
            **({} if cohort is None else {"cohort": cohort}),
            "versions": versions,
            "views_sha256": views,
            "content_sha256": content_hash(frame),
            "code_version": CODE_VERSION,
        }
        _write(self.lake, frame, population.sites, sidecar, self.folder)
        return sidecar

    def _contracts(self, modalities: tuple[str, ...] | None) -> list[Contract]:
        known = [contract.modality for contract in self.contracts]
        unknown = [name for name in modalities or () if name not in known]
        if unknown:
            raise StudyError(
                f"there are no features of modality {unknown[0]}",
                expected=f"some of {', '.join(known)}",
            )
        return [c for c in self.contracts if modalities is None or c.modality in modalities]

    def _versions(self, contracts: Sequence[Contract]) -> dict[str, int | None]:
        tables = (*frame_tables(contracts), ledger.TABLE)
        return {table: self.lake.version(table) for table in tables}

    def _newest_knowledge(self, versions: dict[str, int | None]) -> datetime:
        """Time at which the last row of the tables was learned: unchanged data, same frame."""
        clocks = {ledger.TABLE: "last_seen"}
        times = [
            self.lake.scan(table, version=version)
            .select(pl.col(clocks.get(table, "created_timestamp")).max())
            .collect()
            .item()
            for table, version in versions.items()
            if version is not None and not table.startswith("dictionary_")
        ]
        known = [time for time in times if time is not None]
        return max(known).astimezone(UTC) if known else datetime.now(tz=UTC)


def rebuild(lake: Lake, folder: Path, frame_id: str) -> Path:
    """Build a frame once more from the table versions it was made of; returns a new folder.

    Columns are those that the frame recorded: what views and services say today, and what
    became of the tables since, does not matter.

    Parameters
    ----------
    lake
        Holds the tables.
    folder
        One subfolder per frame id.

    Raises
    ------
    StudyError
        If there is no such frame, or today's code would give another one.
    """
    sidecar = read_sidecar(folder, frame_id)
    study = recorded_study(sidecar)
    types = recorded_types(sidecar, folder / frame_id)
    columns = {name: sidecar["columns"][name] for name in types}
    versions = sidecar["versions"]
    as_of = datetime.fromisoformat(sidecar["as_of"])
    population, _ = _population(
        lake, study, _tables(columns), versions, as_of,
        everyone=sidecar.get("everyone", False), cohort=sidecar.get("cohort"),
    )  # fmt: skip
    pulled = recorded_rows(lake, _entities(population, as_of), types, versions)
    frame, _ = _join(lake, study, population, pulled, columns, versions)
    if content_hash(frame) != sidecar["content_sha256"]:
        raise StudyError(
            "today's code gives another frame",
            where=f"frame {frame_id}",
            expected=f"content {sidecar['content_sha256'][:12]}",
            got=content_hash(frame)[:12],
            hint=OTHER_VERSION,
        )
    with tempfile.TemporaryDirectory() as scratch:
        made = _write(lake, frame, population.sites, sidecar, Path(scratch))
        kept = Path(tempfile.mkdtemp(prefix=f"{frame_id}-"))
        return Path(shutil.copytree(made, kept, dirs_exist_ok=True))


def _population(
    lake: Lake,
    study: Study,
    tables: Sequence[str],
    versions: dict[str, int | None],
    as_of: datetime,
    *,
    everyone: bool,
    cohort: str | None,
) -> tuple[Population, dict[str, pl.DataFrame]]:
    """Patients of a frame, and how they were measured."""
    population = select_population(
        lake, study, known_by=as_of, versions=versions, everyone=everyone, only_site=cohort
    )
    how = partial(how_measured, lake, tables, study, known_by=as_of, versions=versions)
    measured = how(population.members)
    if not everyone:
        return population, measured
    population = without_odd_ones(population, measured, study)
    return population, how(population.members)


def _join(
    lake: Lake,
    study: Study,
    population: Population,
    pulled: pl.DataFrame,
    columns: dict[str, dict[str, Any]],
    versions: dict[str, int | None],
) -> tuple[pl.DataFrame, list[Implausible]]:
    """Rows of a frame, and the implausible values, nulled if the study says so."""
    rows = _without_unread(_assemble(population, pulled, columns), population.unread, columns)
    dictionaries = {
        axis: lake.dictionary(axis, version=versions[dictionary_table(axis)])["name"].to_list()
        for axis in _axes(columns)
    }
    about = {name: FrameColumn.model_validate(column) for name, column in columns.items()}
    nulled = study.guards.implausible == "nulled"
    return judge_values(rows, about, dictionaries, nulled=nulled)


def _assemble(
    population: Population, pulled: pl.DataFrame, columns: dict[str, dict[str, Any]]
) -> pl.DataFrame:
    """Index, label and feature columns; an assay without a row was not performed."""
    missing = [column for column in columns if column not in pulled.columns]
    if missing:
        raise StudyError(
            "the feature service does not serve a column of its tables",
            got=missing[0],
            hint="An older version made this home: 'oncoframe run' brings its tables up to date.",
        )
    performed = [name for name, about in columns.items() if about["kind"] == "performed"]
    features = pulled.select(list(columns)).with_columns(pl.col(performed).fill_null(value=False))
    return pl.concat([population.members, features], how="horizontal")


def _without_unread(
    rows: pl.DataFrame, unread: pl.DataFrame, columns: dict[str, dict[str, Any]]
) -> pl.DataFrame:
    """Rows without values of assays whose file cannot be read now, though an older one could."""
    for (modality,), who in unread.group_by("modality", maintain_order=True):
        unreadable = pl.col("patient_id").is_in(who["patient_id"].implode())
        rows = rows.with_columns(
            pl.when(~unreadable)
            .then(pl.col(name))
            .otherwise(pl.lit(False if about["kind"] == "performed" else None))
            .alias(name)
            for name, about in columns.items()
            if about["modality"] == modality
        )
    return rows


def _guarded(
    frame: pl.DataFrame,
    study: Study,
    columns: dict[str, dict[str, Any]],
    same: dict[str, str | None],
    *,
    everyone: bool,
) -> dict[str, Any]:
    """Verdict of the guards on a frame; raises what they refuse."""
    where = f"study {study.name}"
    about = {name: FrameColumn.model_validate(column) for name, column in columns.items()}
    refuse_late_columns(about, where=where)
    if everyone:
        # Without a label for each patient there is nothing that a column could give away.
        return {"verdict": "not asked", "same": same}
    refuse_label_columns(frame, about, label_name=study.label.name, where=where)
    seen = {name: column for name, column in about.items() if name not in study.features.exclude}
    return verdict(frame, seen, study.guards, same)


def _empty(rows: pl.DataFrame, columns: dict[str, dict[str, Any]]) -> list[str]:
    """Columns of which no patient has a value; they would tell a reader of findings nobody has."""
    return [name for name in columns if rows[name].null_count() == len(rows)]


def _excluded(population: Population) -> dict[str, list[str]]:
    groups = population.excluded.group_by("reason", maintain_order=True)
    return {reason: rows["patient_id"].to_list() for (reason,), rows in groups}


def _write(
    lake: Lake, frame: pl.DataFrame, sites: pl.DataFrame, sidecar: dict[str, Any], folder: Path
) -> Path:
    """Write the folder under another name first: a frame is there as a whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch, str(sidecar["frame_id"]))
        made.mkdir()
        # One chunk, so that the bytes do not depend on how the rows were joined.
        frame.rechunk().write_parquet(made / FRAME, compression="zstd", statistics=False)
        sites.write_parquet(made / SITES)
        for axis in _axes(sidecar["columns"]):
            version = sidecar["versions"][dictionary_table(axis)]
            dictionary = lake.dictionary(axis, version=version)
            dictionary.write_parquet(made / f"{dictionary_table(axis)}.parquet")
        # In the order of the columns, which is part of what the frame is.
        (made / SIDECAR).write_text(json.dumps(sidecar, indent=2))
        return made.rename(folder / made.name)


def _entities(population: Population, as_of: datetime) -> pl.DataFrame:
    return population.members.select(
        "patient_id",
        event_timestamp="index_timestamp",
        known_by=pl.lit(as_of).cast(UTC_TIME),
    )


def _tables(columns: dict[str, dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(about["view"] for about in columns.values()))


def _axes(columns: dict[str, dict[str, Any]]) -> list[str]:
    return sorted({about["axis"] for about in columns.values() if "axis" in about})
