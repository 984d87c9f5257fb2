"""Training frames: Dagster glue only; the join is Feast's, frames are built without Dagster.

snv, fusion, expression, clinical features + labels + cohort -> training_frame/<study>
                                                              -> scoring_frame/<study>
"""

from typing import Any

import dagster as dg

from assets.store.catalog import service_contracts
from assets.training.data_version import version_of_frame
from assets.training.frames import FrameRequest
from ml.study.definition import Study, load_study, study_names
from oncoframe.lake import Lake
from oncoframe.point_in_time import utc_time
from orchestration.frames import build_frame
from orchestration.groups import SCIENCE_OWNERS, group
from orchestration.settings import Settings
from orchestration.studies.retraining import DATA_VERSION_TAG


class FrameConfig(dg.Config):
    """What a frame is built from: all that is known and all modalities, unless told."""

    as_of: str | None = None
    modalities: list[str] | None = None


def _training_frame(study_name: str) -> dg.AssetsDefinition:
    study = load_study(study_name)

    @dg.asset(
        key=["training_frame", study_name],
        deps=_upstream(study),
        group_name=group("training"),
        owners=SCIENCE_OWNERS,
        kinds={"feast", "polars"},
        description=f"Point-in-time training frame: {study.title}",
        code_version="1",
    )
    def training_frame(
        context: dg.AssetExecutionContext,
        config: FrameConfig,
        settings: dg.ResourceParam[Settings],
        lake: dg.ResourceParam[Lake],
    ) -> dg.MaterializeResult[None]:
        request = FrameRequest(
            study,
            utc_time(config.as_of, where="as_of") if config.as_of else None,
            tuple(config.modalities) if config.modalities else None,
        )
        sidecar = build_frame(settings, lake, request)
        if DATA_VERSION_TAG in context.run.tags and request == FrameRequest(study):
            # Data may have changed since the run was asked for: those read now are trained on.
            read = {DATA_VERSION_TAG: version_of_frame(sidecar)}
            context.instance.add_run_tags(context.run.run_id, read)
        return _materialized(sidecar)

    return training_frame


def _scoring_frame(study: Study) -> dg.AssetsDefinition:
    @dg.asset(
        key=["scoring_frame", study.name],
        deps=_upstream(study),
        group_name=group("training"),
        owners=SCIENCE_OWNERS,
        kinds={"feast", "polars"},
        description=f"Everyone whom the model may be asked about, with or without a label: consent "
        f"given, files readable, measured like the others. {study.title}",
        code_version="1",
    )
    def scoring_frame(
        settings: dg.ResourceParam[Settings], lake: dg.ResourceParam[Lake]
    ) -> dg.MaterializeResult[None]:
        request = FrameRequest(study, everyone=True)
        return _materialized(build_frame(settings, lake, request))

    return scoring_frame


def _upstream(study: Study) -> list[str]:
    tables = (contract.table for contract in service_contracts(study.features.service))
    return ["feature_registry", "cohort", "labels", *tables]


def _materialized(sidecar: dict[str, Any]) -> dg.MaterializeResult[None]:
    """What the Dagster UI shows of a frame."""
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


@dg.definitions
def defs() -> dg.Definitions:
    """Frames of each study: to learn from, and, where classes are predicted, to be scored."""
    studies = [load_study(name) for name in study_names()]
    scored = [study for study in studies if study.label.kind == "class"]
    return dg.Definitions(
        assets=[
            *(_training_frame(study.name) for study in studies),
            *(_scoring_frame(study) for study in scored),
        ]
    )
