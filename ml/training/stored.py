"""What a report is made of: the files of a finished training and the frame it was trained on.

ml.registry -> StoredTraining, StoredModel; frames/<frame_id> -> Sidecar of the report

The files are those of :mod:`ml.training.artifacts`. One that a recipe does not have reads as None.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from ml.evaluation.shuffled import above_chance
from ml.study.definition import Study
from oncoframe.errors import StudyError


@dataclass(frozen=True)
class StoredModel:
    """One model of a training, as the registry keeps it.

    Parameters
    ----------
    run_id
        Of the model in the registry.
    recipe, modality_set
        Which row of the result table it is.
    folder
        Files of the model.
    served
        Folder that :func:`ml.serving.model.load_served` reads; None where no model was kept.
    """

    run_id: str
    recipe: str
    modality_set: str
    folder: Path
    served: Path | None

    @property
    def name(self) -> str:
        """How tables call it."""
        return f"{self.recipe} on {self.modality_set}"


@dataclass(frozen=True)
class StoredTraining:
    """A finished training.

    Parameters
    ----------
    run_id
        Of the training in the registry; with the study it names the model version.
    started
        When it was trained, UTC.
    code_version
        Version of OncoFrame that trained.
    tags
        Links to other systems, such as the Dagster run.
    folder
        Files of the training.
    models
        Its models; a survival study keeps none.
    """

    run_id: str
    started: datetime
    code_version: str
    tags: dict[str, str]
    folder: Path
    models: tuple[StoredModel, ...]

    @cached_property
    def result(self) -> dict[str, Any]:
        """What ``oncoframe train --json`` printed."""
        return required_json(self.folder, "result.json")

    @cached_property
    def study(self) -> Study:
        """Study as it was trained.

        Raises
        ------
        StudyError
            If it was stored by a version with other study files.
        """
        try:
            return Study.model_validate(required_json(self.folder, "study.json"))
        except ValidationError as error:
            raise StudyError(
                "the stored study cannot be read by this version",
                where=f"run {self.run_id}",
                hint="Train again: oncoframe train STUDY.",
            ) from error

    @property
    def frame_id(self) -> str:
        """Frame it was trained on."""
        return str(self.result["frame_id"])

    @property
    def best(self) -> StoredModel:
        """Model that the training named the best one."""
        best = self.result["best"]
        name = (best["recipe"], best["modalities"])
        kept = [model for model in self.models if (model.recipe, model.modality_set) == name]
        return kept[0] if kept else StoredModel(self.run_id, *name, self.folder, None)

    @cached_property
    def differences(self) -> pl.DataFrame:
        """``one``, ``other``, ``metric``, ``difference``, ``low``, ``high``; paired."""
        return self._differences("differences.parquet", "concordance")

    @cached_property
    def complete_differences(self) -> pl.DataFrame:
        """The same of the patients who had every assay; no rows where they were too few."""
        return self._differences("differences_complete.parquet", "concordance_complete")

    def _differences(self, name: str, of_times: str) -> pl.DataFrame:
        table = read_table(self.folder, name)
        if table is not None:
            return table
        rows = (read_json(self.folder, "differences.json") or {"differences": []})["differences"]
        schema = ["one", "other", "metric", "difference", "low", "high"]
        return pl.DataFrame(
            [
                (row["one"], row["other"], "concordance", *row[of_times])
                for row in rows
                if row.get(of_times)
            ],
            schema=schema,
            orient="row",
        )

    @property
    def permuted(self) -> list[dict[str, Any]]:
        """Rows of the evaluation on shuffled labels."""
        rows: list[dict[str, Any]] = self.result.get("permuted") or []
        times = [row for row in self.result["recipes"] if row.get("permuted_concordance")]
        return rows + [
            {
                "modalities": f"{row['modalities']}, {row['recipe']}",
                "concordance": row["permuted_concordance"],
                "at_chance": None if is_above is None else not is_above,
            }
            for row, is_above in zip(
                times, above_chance([row["permuted_concordance"] for row in times]), strict=True
            )
        ]


def read_json(folder: Path, name: str) -> Any | None:
    """Content of a file, or None if the training has no such file."""
    file = folder / name
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def required_json(folder: Path, name: str) -> dict[str, Any]:
    """Content of a file that every training has.

    Raises
    ------
    StudyError
        If it is not there.
    """
    content = read_json(folder, name)
    if content is None:
        raise StudyError(
            f"the stored training has no {name}",
            where=folder.name,
            hint="It was made by an older version: oncoframe train STUDY trains again.",
        )
    found: dict[str, Any] = content
    return found


def read_table(folder: Path, name: str) -> pl.DataFrame | None:
    """Table of a CSV or Parquet file, or None if the training has no such file."""
    file = folder / name
    if not file.is_file():
        return None
    return pl.read_csv(file) if file.suffix == ".csv" else pl.read_parquet(file)
