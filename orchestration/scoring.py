"""Scores and drift of a study as one Dagster run, for the command line.

Pipeline, study -> scoring frame, scores, drift report -> what happened
"""

from typing import Any

import dagster as dg

from oncoframe.errors import StudyError
from orchestration.pipeline import Pipeline
from orchestration.studies.champions import champion_of, no_champion, scored_studies
from orchestration.studies.retraining import BY_HAND, REASON_TAG, STUDY_TAG
from orchestration.studies.steps import SCORED

_TOLD = ("champion", "frame_id", "scored", "unchanged", "withdrawn", "abstained")


def score_study(pipeline: Pipeline, study: str) -> dict[str, Any]:
    """Score everyone who changed and judge drift; returns what ``score --json`` prints.

    Raises
    ------
    StudyError
        If the study has no champion, or predicts no classes.
    """
    if study not in scored_studies():
        raise StudyError(
            f"study {study} predicts no classes that a patient could be scored with",
            expected=f"one of {', '.join(scored_studies())}",
        )
    if champion_of(pipeline.settings, study) is None:
        raise StudyError(no_champion(study))
    keys = [dg.AssetKey([kind, study]) for kind in SCORED]
    result = pipeline.materialize(keys, tags={STUDY_TAG: study, REASON_TAG: BY_HAND})
    scores, drift = (
        result.asset_materializations_for_node(key.to_python_identifier())[0].metadata
        for key in keys[1:]
    )
    waits = {name: entry.value for name, entry in scores.items() if name.endswith("_s")}
    return {
        "study": study,
        **{name: scores[name].value for name in _TOLD},
        **waits,
        "drifted": drift["drifted"].value,
        "verdict": drift["verdict"].value,
        "html": str(drift["html"].value),
    }
