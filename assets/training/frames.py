"""Training frames: the join of a study as of a time, named by its content, built again at will.

    population -> pull (point-in-time join) -> guards -> frame.parquet + frame.json + dictionaries

The id is a hash over entity rows, table versions, view definitions, study and code: the same data
and the same code give the same id and the same bytes. How the join is done is the feature store's
business; it arrives here as a function.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from assets.training.data_version import CODE_VERSION, frame_tables
from assets.training.measurement import how_measured, without_odd_ones
from assets.training.population import Population, select_population
from assets.training.sidecar import (
    FRAME,
    OTHER_VERSION,
    SIDECAR,
    frame_columns,
    read_sidecar,
    recorded_study,
)
from ml.frames.frame import SITES, FrameColumn
from ml.frames.leakage import refuse_label_columns, refuse_late_columns, refuse_mixed, verdict
from ml.study.definition import Study
from oncoframe import ledger
from oncoframe.contracts import Contract
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
    """

    study: Study
    as_of: datetime | None = None
    modalities: tuple[str, ...] | None = None
    everyone: bool = False


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
        return self._build(request.study, contracts, versions, as_of, everyone=request.everyone)

    def rebuild(self, frame_id: str) -> Path:
        """Build a frame once more from the table versions it was made of; returns a new folder.

        Raises
        ------
        StudyError
            If there is no such frame, or today's views or code would give another one.
        """
        sidecar = read_sidecar(self.folder, frame_id)
        study = recorded_study(sidecar)
        contracts = self._contracts(tuple(sidecar["modalities"]))
        as_of = datetime.fromisoformat(sidecar["as_of"])
        with tempfile.TemporaryDirectory() as scratch:
            again = FrameBuilder(self.lake, Path(scratch), self.contracts, self.pull)
            rebuilt = again._build(
                study, contracts, sidecar["versions"], as_of,
                everyone=sidecar.get("everyone", False), definition=sidecar["study_definition"],
            )  # fmt: skip
            if rebuilt["frame_id"] != frame_id:
                raise StudyError(
                    "today's views or code give another frame",
                    where=f"frame {frame_id}",
                    expected=f"view definitions {sidecar['views_sha256'][:12]}",
                    got=rebuilt["views_sha256"][:12],
                    hint=OTHER_VERSION,
                )
            kept = Path(tempfile.mkdtemp(prefix=f"{frame_id}-"))
            return Path(shutil.copytree(again.folder / frame_id, kept, dirs_exist_ok=True))

    def _build(
        self,
        study: Study,
        contracts: Sequence[Contract],
        versions: dict[str, int | None],
        as_of: datetime,
        *,
        everyone: bool,
        definition: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        # A frame keeps its definition as it was recorded: settings that came later are not of it.
        definition = definition or study.model_dump(mode="json")
        population = select_population(
            self.lake, study, known_by=as_of, versions=versions, everyone=everyone
        )
        how = partial(how_measured, self.lake, contracts, study, known_by=as_of, versions=versions)
        if everyone:
            population = without_odd_ones(population, how(population.members), study)
        views = sha256(repr(contracts).encode()).hexdigest()
        identity = {
            "study": definition,
            "as_of": as_of.isoformat(),
            "entities": content_hash(population.members),
            "versions": versions,
            "views": views,
            "code_version": CODE_VERSION,
            **({"everyone": True} if everyone else {}),
        }
        frame_id = sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:_ID_DIGITS]
        if (self.folder / frame_id / SIDECAR).exists():
            return read_sidecar(self.folder, frame_id)
        entities = population.members.select(
            "patient_id",
            event_timestamp="index_timestamp",
            known_by=pl.lit(as_of).cast(pl.Datetime("us", "UTC")),
        )
        columns = frame_columns(contracts)
        same = refuse_mixed(how(population.members), study.guards.same, where=f"study {study.name}")
        frame = _assemble(population, self.pull(entities, versions), columns)
        sidecar = {
            "frame_id": frame_id,
            "study": study.name,
            "study_definition": identity["study"],
            "as_of": identity["as_of"],
            "label_name": study.label.name,
            "label_version": study.label.version,
            "modalities": [contract.modality for contract in contracts],
            "rows": len(frame),
            "columns": columns,
            "performed_share": {
                about["modality"]: frame[name].mean()
                for name, about in columns.items()
                if about["kind"] == "performed"
            },
            "excluded": _excluded(population),
            "guards": _guarded(frame, study, columns, same, everyone=everyone),
            "everyone": everyone,
            "versions": versions,
            "views_sha256": views,
            "content_sha256": content_hash(frame),
            "code_version": CODE_VERSION,
        }
        self._write(frame, population.sites, sidecar, contracts, versions)
        return sidecar

    def _write(
        self,
        frame: pl.DataFrame,
        sites: pl.DataFrame,
        sidecar: dict[str, Any],
        contracts: Sequence[Contract],
        versions: dict[str, int | None],
    ) -> None:
        """Write the folder under another name first: a frame is there as a whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            made = Path(scratch) / sidecar["frame_id"]
            made.mkdir()
            frame.write_parquet(made / FRAME, compression="zstd", statistics=False)
            sites.write_parquet(made / SITES)
            for axis in _axes(contracts):
                dictionary = self.lake.dictionary(axis, version=versions[dictionary_table(axis)])
                dictionary.write_parquet(made / f"{dictionary_table(axis)}.parquet")
            (made / SIDECAR).write_text(json.dumps(sidecar, indent=2, sort_keys=True))
            made.rename(self.folder / sidecar["frame_id"])

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


def _assemble(
    population: Population, pulled: pl.DataFrame, columns: dict[str, dict[str, Any]]
) -> pl.DataFrame:
    """Index, label and feature columns; an assay without a row was not performed."""
    missing = [column for column in columns if column not in pulled.columns]
    if missing:
        raise StudyError(
            "the feature service does not serve a column of its tables", got=missing[0]
        )
    performed = [name for name, about in columns.items() if about["kind"] == "performed"]
    features = pulled.select(list(columns)).with_columns(pl.col(performed).fill_null(value=False))
    return pl.concat([population.members, features], how="horizontal")


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


def _excluded(population: Population) -> dict[str, list[str]]:
    groups = population.excluded.group_by("reason", maintain_order=True)
    return {reason: rows["patient_id"].to_list() for (reason,), rows in groups}


def _axes(contracts: Sequence[Contract]) -> list[str]:
    return sorted({block.axis for contract in contracts for block in contract.blocks})
