"""A small feature repository for the tests of the offline store: two tables on an empty lake."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from assets.contracts import PROVENANCE_COLUMNS, Block, Contract, Feature
from assets.lake import Lake

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
            offline_store={**store, "lake": "lake", **offline},
            materialization={"pull_latest_features": pull_latest},
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

    from feature_repo.contract_view import feature_view  # noqa: PLC0415
    from feature_repo.entities import PATIENT  # noqa: PLC0415

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
