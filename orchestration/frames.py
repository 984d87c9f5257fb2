"""Frames of a home: joined by Feast, told to the audit log, built again.

    study -> frame_builder -> build_frame -> sidecar, line in the audit log
    frame id -> rebuild_frame -> folder, line in the audit log

No Dagster: its assets, the command line and the Python API all build their frames here.
"""

from pathlib import Path
from typing import Any

import polars as pl

from assets.store.catalog import service_contracts
from assets.training.frames import FrameBuilder, FrameRequest, rebuild
from assets.training.sidecar import read_sidecar
from feature_repo.client import open_store, training_rows
from ml.study.definition import Study
from oncoframe.audit import Action, AuditLog, machine_user
from oncoframe.lake import Lake
from orchestration.settings import Settings


def frame_builder(settings: Settings, lake: Lake, study: Study) -> FrameBuilder:
    """Builder of the frames of a study, joined by Feast."""

    def pull(entities: pl.DataFrame, versions: dict[str, int | None]) -> pl.DataFrame:
        store = open_store(settings.home, versions=versions)
        return pl.DataFrame(training_rows(store, study.features.service, entities))

    contracts = service_contracts(study.features.service, settings.center)
    return FrameBuilder(lake, settings.frames_dir, contracts, pull)


def build_frame(settings: Settings, lake: Lake, request: FrameRequest) -> dict[str, Any]:
    """Build the frame of a request, write who did into the audit log, and return its sidecar.

    Raises
    ------
    StudyError
        As :meth:`assets.training.frames.FrameBuilder.build`.
    """
    sidecar = frame_builder(settings, lake, request.study).build(request)
    AuditLog(settings.audit_log).append(
        Action.FRAME_BUILT, actor=machine_user(), subject=sidecar["frame_id"],
        details={"study": sidecar["study"], "rows": sidecar["rows"],
                 "columns": len(sidecar["columns"]), "sha256": sidecar["content_sha256"]},
    )  # fmt: skip
    return sidecar


def rebuild_frame(settings: Settings, lake: Lake, frame_id: str) -> Path:
    """Build a frame once more, write who did into the audit log, and return its new folder.

    Raises
    ------
    StudyError
        As :func:`assets.training.frames.rebuild`.
    """
    folder = rebuild(lake, settings.frames_dir, frame_id)
    about = read_sidecar(settings.frames_dir, frame_id)
    AuditLog(settings.audit_log).append(
        Action.FRAME_PULLED, actor=machine_user(), subject=frame_id,
        details={"rows": about["rows"], "features": len(about["columns"]),
                 "versions": about["versions"]},
    )  # fmt: skip
    return folder
