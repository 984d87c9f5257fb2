"""Candidates: the best model of the newest training, held against champion and patients of today.

newest training, champion, scoring frame -> Challenge, drift verdict -> challenger of the registry
Challenge, Conditions -> Markdown, for the Dagster UI and the command line
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from assets.models.drift import AskedModel, judge_drift
from assets.models.verdicts import StoredVerdict, store_verdict
from assets.promotion.gate import Place, held_against
from assets.training.sidecar import read_sidecar
from ml.evaluation.calibration import CalibrationSummary
from ml.intervals import Estimate
from ml.promotion.comparison import COMPARED, Challenge, Comparison
from ml.promotion.criteria import Condition
from ml.registry.files import opened
from ml.registry.model_version import ModelVersion
from ml.registry.trainings import newest_training
from ml.registry.versions import add_candidate, with_alias
from ml.training.stored import StoredTraining
from oncoframe.lake import Lake


@dataclass(frozen=True)
class Proposed:
    """A new challenger.

    Parameters
    ----------
    version
        In the registry.
    training
        What it comes from.
    challenge
        Against the champion.
    verdict
        Patients of today against its frame; None where nobody could be judged.
    """

    version: ModelVersion
    training: StoredTraining
    challenge: Challenge
    verdict: StoredVerdict | None


def propose(
    study: str, place: Place, *, lake: Lake, everyone: str | None, tags: dict[str, str]
) -> Proposed:
    """Register the best model of the newest training as challenger.

    Parameters
    ----------
    everyone
        Id of the newest frame of everyone, to judge drift by; None where there is none.
    tags
        More tags of the version.

    Raises
    ------
    StudyError
        If the study was never trained, or a frame is gone.
    PromotionError
        If the MLflow server lets this user write no candidates, or the champion's files changed.
    """
    training = newest_training(study, store=place.store)
    champion = with_alias(study, "champion", store=place.store)
    released = opened(champion, store=place.store) if champion else None
    found = held_against(training, released, place.frames_dir)
    version = add_candidate(training, store=place.store, tags=tags)
    verdict = None
    if everyone is not None:
        verdict = judge_challenger(version, champion, place, lake=lake, everyone=everyone)
    return Proposed(version, training, found, verdict)


def judge_challenger(
    version: ModelVersion, champion: ModelVersion | None, place: Place, *, lake: Lake, everyone: str
) -> StoredVerdict:
    """Hold the patients of today against the frame of a challenger, and keep the verdict.

    Parameters
    ----------
    champion
        Who came after its frame is judged, too, though the challenger knows them.
    everyone
        Id of the newest frame of everyone.

    Raises
    ------
    StudyError
        If a frame is gone.
    PromotionError
        If the challenger's files changed.
    """
    own = opened(version, store=place.store)
    verdict = judge_drift(
        lake,
        place.frames_dir,
        reference=version.frame_id,
        current=everyone,
        since=_as_of(place.frames_dir, champion.frame_id) if champion else None,
        model=AskedModel.of(own),
    ).verdict
    store_verdict(place.drift_dir, verdict)
    return verdict


def _as_of(frames_dir: Path, frame_id: str) -> datetime:
    return datetime.fromisoformat(read_sidecar(frames_dir, frame_id)["as_of"])


def conditions_table(conditions: Sequence[Condition]) -> str:
    """One row per condition."""
    lines = ["| condition | holds | what was found |", "| --- | --- | --- |"]
    for condition in conditions:
        # A bar in a sentence would end the cell.
        sentence = condition.sentence.replace("|", "\\|")
        lines.append(f"| {condition.name} | {'yes' if condition.passed else 'NO'} | {sentence} |")
    return "\n".join(lines)


def challenge_table(challenge: Challenge) -> str:
    """One row per metric: on all patients, and on those new to the champion."""
    rival = "champion" if challenge.has_champion else "most frequent class"
    lines = [f"| patients | metric | challenger | {rival} | difference |", "|" + " --- |" * 5]
    lines += _rows("all", challenge.overall)
    if challenge.on_newcomers is not None:
        lines += _rows("newcomers", challenge.on_newcomers)
    for group in challenge.groups:
        said = (f"{group.challenger:.3f}", f"{group.champion:.3f}", _signed(group.difference))
        name = f"{group.grouping} {group.group}, {group.patients}".replace("|", "\\|")
        lines.append(f"| {name} | accuracy | {' | '.join(said)} |")
    return "\n".join(lines)


def _rows(who: str, compared: Comparison) -> list[str]:
    rows = [
        f"| {who}, {compared.patients} | {name.replace('_', ' ')} "
        f"| {_plain(compared.challenger[name])} | {_plain(compared.champion[name])} "
        f"| {_signed(compared.difference[name])} |"
        for name in COMPARED
    ]
    own, other = compared.calibration_challenger, compared.calibration_champion
    ones, others = _calibration(own), [""] * 3 if other is None else _calibration(other)
    of = own.of.replace("|", "\\|")
    names = (f"calibration in the large, {of}", "calibration slope", "calibration error")
    return rows + [
        f"| {who}, {compared.patients} | {name} | {one} | {two} | |"
        for name, one, two in zip(names, ones, others, strict=True)
    ]


def _calibration(of: CalibrationSummary) -> list[str]:
    return [_signed(of.in_the_large), _plain(of.slope), f"{of.ece:.3f}"]


def _plain(of: Estimate) -> str:
    return f"{of.value:.3f} [{of.low:.3f}, {of.high:.3f}]"


def _signed(of: Estimate) -> str:
    return f"{of.value:+.3f} [{of.low:+.3f}, {of.high:+.3f}]"
