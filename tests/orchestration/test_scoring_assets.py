"""Scores and drift report as Dagster runs them: without a champion, and with one of nobody's."""

import json

import dagster as dg
import polars as pl
import pytest

from assets.monitoring.defs import defs as monitoring
from assets.scoring.defs import defs as scoring
from assets.scoring.table import TABLE
from assets.training.population import QUARANTINED
from oncoframe.errors import PromotionError

STUDY = "synthetic_leukemia"
FRAME = "f00df00df00df00d"
SCORES, DRIFT = (dg.AssetKey([kind, STUDY]) for kind in ("scores", "drift_report"))
LEFT_OUT = {
    QUARANTINED: ["P2"],
    "measured with another expression_unit": ["P3", "P4"],
    "no_consent": ["P5"],
}


@pytest.fixture
def run(settings, lake, instance):
    """Run both assets on a frame of everyone of one patient; four others were left out."""
    folder = settings.frames_dir / FRAME
    folder.mkdir(parents=True)
    rows = {"patient_id": ["P1"], "index_timestamp": [0], "label": [None]}
    pl.DataFrame(rows).write_parquet(folder / "frame.parquet")
    sidecar = {
        "frame_id": FRAME, "study": STUDY, "label_name": "who", "columns": {}, "everyone": True,
        "excluded": LEFT_OUT, "as_of": "2024-01-01T00:00:00+00:00",
    }  # fmt: skip
    (folder / "frame.json").write_text(json.dumps(sidecar))
    key = dg.AssetKey(["scoring_frame", STUDY])
    built = dg.AssetMaterialization(key, metadata={"frame_id": FRAME})
    instance.report_runless_asset_event(built)

    def execute():
        definitions = dg.Definitions.merge(scoring(), monitoring())
        assets = [definitions.get_assets_def(key) for key in (SCORES, DRIFT)]
        return dg.materialize(
            assets, instance=instance, resources={"settings": settings, "lake": lake}
        )

    return execute


def test_scores__rest_without_a_champion(run, lake, instance):
    """A new study would fail every night; or be green as if somebody had been scored."""
    result = run()
    assert result.success
    assert result.asset_materializations_for_node(SCORES.to_python_identifier()) == []
    assert result.asset_materializations_for_node(DRIFT.to_python_identifier()) == []
    assert instance.get_latest_materialization_event(SCORES) is None
    assert not lake.exists(TABLE)


def test_every_patient_has_a_score__counts_who_can_be_helped(run):
    """Consent is the patient's decision; a file in quarantine is somebody's work."""
    checks = {check.check_name: check for check in run().get_asset_check_evaluations()}
    found = checks["every_patient_has_a_score"]
    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert found.metadata["patients"].value == 3
    assert set(found.metadata["reasons"].value) == set(LEFT_OUT) - {"no_consent"}


def test_scores__refuse_a_champion_that_nobody_promoted(run, settings, lake):
    """Whoever may write in MLflow would decide which model patients are judged by."""
    client = settings.registry.client()
    client.create_registered_model(STUDY)
    tags = {"training_run_id": "t", "frame_id": FRAME, "sha256": "x"}
    made = client.create_model_version(STUDY, str(settings.home), tags=tags)
    client.set_registered_model_alias(STUDY, "champion", made.version)
    with pytest.raises(PromotionError, match="the audit log knows no promotion"):
        run()
    assert not lake.exists(TABLE)
