"""Training frames: Dagster glue only; the join is Feast's, the frame is built in ``frames.py``.

snv, fusion, expression, clinical features + labels + cohort -> training_frame/<study>
"""

from datetime import datetime

import dagster as dg
import polars as pl

from assets.catalog import service_contracts
from assets.lake import Lake
from assets.training.frames import FrameBuilder, FrameRequest
from feature_repo.client import open_store, training_rows
from ml.study import Study, load_study, study_names
from orchestration.groups import SCIENCE_OWNERS, group
from orchestration.settings import Settings


class FrameConfig(dg.Config):
    """What a frame is built from: all that is known and all modalities, unless told."""

    as_of: str | None = None
    modalities: list[str] | None = None


def frame_builder(settings: Settings, lake: Lake, study: Study) -> FrameBuilder:
    """Builder of the frames of a study, joined by Feast."""

    def pull(entities: pl.DataFrame, versions: dict[str, int | None]) -> pl.DataFrame:
        store = open_store(settings.home, versions=versions)
        return pl.DataFrame(training_rows(store, study.features.service, entities))

    contracts = service_contracts(study.features.service)
    return FrameBuilder(lake, settings.frames_dir, contracts, pull)


def _training_frame(study_name: str) -> dg.AssetsDefinition:
    study = load_study(study_name)

    @dg.asset(
        key=["training_frame", study_name],
        deps=[
            "feature_registry",
            "cohort",
            "labels",
            *(contract.table for contract in service_contracts(study.features.service)),
        ],
        group_name=group("training"),
        owners=SCIENCE_OWNERS,
        kinds={"feast", "polars"},
        description=f"Point-in-time training frame: {study.title}",
        code_version="1",
    )
    def training_frame(
        config: FrameConfig,
        settings: dg.ResourceParam[Settings],
        lake: dg.ResourceParam[Lake],
    ) -> dg.MaterializeResult[None]:
        builder = frame_builder(settings, lake, study)
        request = FrameRequest(
            study,
            datetime.fromisoformat(config.as_of) if config.as_of else None,
            tuple(config.modalities) if config.modalities else None,
        )
        sidecar = builder.build(request)
        return dg.MaterializeResult(
            metadata={
                "frame_id": sidecar["frame_id"],
                "dagster/row_count": sidecar["rows"],
                "columns": len(sidecar["columns"]),
                "as_of": sidecar["as_of"],
                "hash": sidecar["content_sha256"],
                "excluded": {why: len(who) for why, who in sidecar["excluded"].items()},
                "performed_share": sidecar["performed_share"],
                "guards": sidecar["guards"],
            },
            data_version=dg.DataVersion(sidecar["frame_id"]),
        )

    return training_frame


@dg.definitions
def defs() -> dg.Definitions:
    """One frame per study file."""
    return dg.Definitions(assets=[_training_frame(name) for name in study_names()])
