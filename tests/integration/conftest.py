"""A small feature repository on an empty lake, and trainings of a toy study to be promoted."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ml.study.definition import Study
from oncoframe.contracts import PROVENANCE_COLUMNS, Block, Contract, Feature
from oncoframe.lake import Lake

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
CONTRACTS = {
    "blood": Contract(
        table="blood",
        modality="blood",
        description="Blood counts; a value stands for ever.",
        code_version="1",
        features=(
            Feature("count", pl.Int64(), "1", "cells"),
            Feature("share", pl.Float64(), "1", "share of blasts"),
            Feature("BCR::ABL1", pl.Boolean(), "1", "fusion seen"),
        ),
        blocks=(Block("profile", "gene", "1", "expression", fill=float("nan")),),
    ),
    "marrow": Contract(
        table="marrow",
        modality="marrow",
        description="Marrow counts; a value stands for two days.",
        code_version="1",
        features=(Feature("count", pl.Int64(), "1", "cells"),),
    ),
}
TTL = timedelta(days=2)


class Clinic:
    """A lake and the feature store over it; times are days after the epoch of the tests."""

    def __init__(self, home: Path, registry: Path) -> None:
        self.home = home
        self.lake = Lake(home / "lake")
        self._registry = registry

    @staticmethod
    def at(day: float) -> datetime:
        """Moment of a day."""
        return EPOCH + timedelta(days=day)

    def row(
        self, table: str, patient: str, event: int, created: int, **values: Any
    ) -> pl.DataFrame:
        """One row of a feature table; what is not given is null."""
        contract = CONTRACTS[table]
        given = {
            contract.performed_column: True,
            **dict.fromkeys(PROVENANCE_COLUMNS, "x"),
            "patient_id": patient,
            "event_timestamp": self.at(event),
            "created_timestamp": self.at(created),
            **values,
        }
        schema = contract.schema()
        return pl.DataFrame({name: [given.get(name)] for name in schema}, schema=schema)

    def write(self, table: str, patient: str, event: int, created: int, **values: Any) -> int:
        """Append one row and return the version of the table."""
        row = self.row(table, patient, event, created, **values)
        return self.lake.append_features(CONTRACTS[table], row)

    def asks(self, *patients: str, as_of: float = 9, **columns: list[Any]) -> pl.DataFrame:
        """Entity rows as of one day."""
        times = [self.at(as_of)] * len(patients)
        return pl.DataFrame({"patient_id": patients, "event_timestamp": times, **columns})

    def config(self, *, pull_latest: bool = True, **offline: Any) -> Any:
        """Feast's configuration with settings of the offline store."""
        from feast import RepoConfig  # noqa: PLC0415  (seconds that other tests need not wait)

        store = {"type": "feature_repo.offline_store.LakeOfflineStore"}
        return RepoConfig(
            project="test",
            provider="local",
            registry=str(self._registry),
            online_store={"type": "sqlite", "path": str(self.home / "online.db")},
            offline_store={**store, "home": str(self.home), **offline},
            materialization={"pull_latest_features": pull_latest},
            coerce_tz_aware=False,
            repo_path=self.home,
        )

    def store(self, **settings: Any) -> Any:
        """Feature store with the settings of :meth:`config`."""
        from feast import FeatureStore  # noqa: PLC0415

        return FeatureStore(config=self.config(**settings))

    def counts(self, entities: Any, **offline: Any) -> list[int | None]:
        """Blood counts that entity rows may see."""
        job = self.store(**offline).get_historical_features(entities, ["blood:count"])
        return job.to_polars()["count"].to_list()


@pytest.fixture(scope="session")
def new_clinic(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Clinic]:
    """Maker of clinics with empty lakes that share one registry.

    The registry holds the views ``blood`` and ``marrow``, the on-demand view ``doubled``, and the
    services ``both`` and ``transplant`` (blood of a patient and of the patient's donor).
    """
    from feast import FeatureService, Field  # noqa: PLC0415
    from feast.on_demand_feature_view import on_demand_feature_view  # noqa: PLC0415
    from feast.types import Float64  # noqa: PLC0415

    from feature_repo.entities import PATIENT  # noqa: PLC0415
    from feature_repo.views import feature_view  # noqa: PLC0415

    blood, marrow = map(feature_view, CONTRACTS.values())
    marrow.ttl = TTL

    @on_demand_feature_view(sources=[blood], schema=[Field(name="double", dtype=Float64)])
    def doubled(inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"double": inputs["share"] * 2})

    donor = blood.with_name("donor").with_join_key_map({"patient_id": "donor_id"})
    both = FeatureService(name="both", features=[blood, marrow])
    # Feast sorts the views of a service by alias, which fails where only one of two has one.
    transplant = FeatureService(name="transplant", features=[blood.with_name("recipient"), donor])
    registry = tmp_path_factory.mktemp("registry") / "registry.db"

    def make() -> Clinic:
        return Clinic(tmp_path_factory.mktemp("clinic"), registry)

    make().store().apply([PATIENT, blood, marrow, doubled, both, transplant])
    return make


@pytest.fixture
def clinic(new_clinic: Callable[[], Clinic]) -> Clinic:
    """Clinic without rows."""
    return new_clinic()


@dataclass(frozen=True)
class ToyTraining:
    """A frame in a folder of frames, and a training on it."""

    frames_dir: Path
    result: Any


@pytest.fixture(scope="session")
def toy_trainings(tmp_path_factory: pytest.TempPathFactory) -> list[ToyTraining]:
    """Two trainings of one study: on 60 patients, and on them and 30 newcomers."""
    from ml.training.classification import train  # noqa: PLC0415  (seconds that other tests need not wait)

    frames_dir = tmp_path_factory.mktemp("frames")
    made = []
    for frame_id, n in (("f00d", 60), ("beef", 90)):
        write_toy_frame(frames_dir / frame_id, n)
        made.append(ToyTraining(frames_dir, train(TOY_STUDY, frames_dir / frame_id)))
    return made


TOY_STUDY = Study.model_validate(
    {
        "name": "synthetic_leukemia",
        "title": "Class of a toy patient",
        "label": {"name": "who", "version": "1", "min_patients_per_class": 3},
        "clocks": {"index": "diagnosis"},
        "features": {"service": "toy_v1"},
        "modality_sets": {"all": ["clinical"]},
        "recipes": ["lightgbm"],
        "cross_validation": {"folds": 3, "repeats": 1, "seed": 1},
        "subgroups": {"by": {"sex": {"column": "clinical__sex"}}},
        # Sixty patients give wide intervals.
        "promotion": {"margin": 0.2, "slope_margin": 1.5, "max_ece": 0.4, "ece_margin": 0.2},
    }
)


def write_toy_frame(folder: Path, n: int) -> None:
    """Frame of n patients whose age tells their class; the first ones are always the same."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    classes = np.arange(n) % 3
    pl.DataFrame(
        {
            "patient_id": [f"P{i:03d}" for i in range(n)],
            "index_timestamp": [EPOCH] * n,
            "label": [("AML, NOS", "APL", "t(8;21)")[c] for c in classes],
            "clinical__age": rng.normal(60, 8, size=n) + 15 * classes,
            "clinical__sex": ["f", "m"] * (n // 2),
        }
    ).write_parquet(folder / "frame.parquet")
    columns = {
        name: {"modality": "clinical", "feature": name, "unit": "1", "known": "at_index",
               "kind": "scalar"}
        for name in ("clinical__age", "clinical__sex")
    }  # fmt: skip
    sidecar = {
        "frame_id": folder.name, "study": TOY_STUDY.name, "label_name": "who", "columns": columns,
        "guards": {"verdict": "passed", "suspected_leakage": []},
        "as_of": "2024-01-01T00:00:00+00:00",
    }  # fmt: skip
    (folder / "frame.json").write_text(json.dumps(sidecar))
