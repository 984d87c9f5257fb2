"""Promotion and rollback: evidence is gathered, judged, carried out and written down.

    candidate, champion, frames, newest drift verdict -> ml.promotion.criteria -> aliases, audit log

Both write a line in the audit log, and so does a promotion that is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.models.verdicts import newest_verdict
from assets.promotion.aliases import unexplained_champion, was_promoted
from assets.training.sidecar import read_sidecar
from ml.frames.frame import read_frame
from ml.promotion.comparison import Challenge, Champion, challenge
from ml.promotion.criteria import Condition, DriftState, Evidence, Person, judge, judge_person
from ml.registry.files import files_hold, opened
from ml.registry.model_version import ModelVersion
from ml.registry.roles import signed_in
from ml.registry.store import Store
from ml.registry.trainings import training_of_run
from ml.registry.versions import copy_to_champion, rollback_aliases, with_alias
from ml.training.stored import StoredTraining
from oncoframe.audit import Action, AuditLog, machine_user
from oncoframe.errors import AuditError, OncoFrameError, PromotionError, StudyError


@dataclass(frozen=True)
class Place:
    """Where everything is that a promotion looks at.

    Parameters
    ----------
    store
        The registry.
    frames_dir, drift_dir
        Frames, and verdicts on drift.
    log
        The audit log.
    approvers
        Who has the role approver.
    """

    store: Store
    frames_dir: Path
    drift_dir: Path
    log: AuditLog
    approvers: tuple[str, ...]

    def person(self, approver: str, reason: str, *, accepts_suspects: bool = False) -> Person:
        """Who asks, and whom the MLflow server knows them as."""
        signed = signed_in(self.store)
        return Person(approver.strip(), signed, self.approvers, reason, accepts_suspects)


@dataclass(frozen=True)
class Review:
    """A candidate before the gate.

    Parameters
    ----------
    candidate, champion
        Versions; no champion before the first promotion.
    challenge
        One against the other.
    conditions
        All of them, passed or not.
    """

    candidate: ModelVersion
    champion: ModelVersion | None
    challenge: Challenge
    conditions: tuple[Condition, ...]

    @property
    def failed(self) -> list[Condition]:
        """Conditions that do not hold."""
        return [condition for condition in self.conditions if not condition.passed]

    @property
    def refusal(self) -> str:
        """Everything that failed, in sentences."""
        return refusal(f"{self.candidate.label} is not promoted", self.failed)


def review(study: str, person: Person, place: Place) -> Review:
    """Judge the challenger of a study; changes nothing.

    Raises
    ------
    PromotionError
        If there is no challenger, it is not what its training made, or its champion is not the one
        that the audit log names: who takes the alias away, or gives it to a bad model, would make
        the gate an open door.
    StudyError
        If its training or frame is gone.
    AuditError
        If the audit log was changed.
    """
    candidate = with_alias(study, "challenger", store=place.store)
    if candidate is None:
        raise PromotionError(
            f"study {study} has no challenger", hint=f"Train one: oncoframe train {study}."
        )
    training = training_of_run(candidate.training_run_id, store=place.store)
    champion = _explained_champion(study, place)
    holds = files_hold(candidate, training, store=place.store)
    evidence = _evidence(training, champion, place, files_hold=holds)
    conditions = judge(evidence, person, training.study.promotion)
    return Review(candidate, champion, evidence.challenge, conditions)


def review_of(study: str, place: Place) -> tuple[Condition, ...]:
    """Conditions of a challenger that do not depend on who promotes it.

    Raises
    ------
    PromotionError, StudyError
        As :func:`review`.
    """
    nobody = Person("", None, place.approvers, "")
    of_people = {condition.name for condition in judge_person(nobody)}
    found = review(study, nobody, place).conditions
    return tuple(condition for condition in found if condition.name not in of_people)


def verdict_on(training: StoredTraining, place: Place) -> tuple[Condition, ...]:
    """Conditions that the best model of a training meets or not, whoever would promote it.

    For its report: it need not be a candidate. Whether it is the champion already, and whether its
    files are those that were registered, is no quality of the model and left out. A champion that
    nobody can explain or open is a condition that fails. Models of times are not released: none.
    """
    if training.study.label.kind != "class":
        return ()
    nobody = Person("", None, place.approvers, "")
    try:
        champion = _explained_champion(training.study.name, place)
        evidence = _evidence(training, champion, place, files_hold=True)
    except (PromotionError, AuditError, StudyError) as error:
        return (Condition("champion", False, str(error)),)
    left_out = {"candidate", *(condition.name for condition in judge_person(nobody))}
    found = judge(evidence, nobody, training.study.promotion)
    return tuple(condition for condition in found if condition.name not in left_out)


def _explained_champion(study: str, place: Place) -> ModelVersion | None:
    champion = with_alias(study, "champion", store=place.store)
    problem = unexplained_champion(place.log.entries(), study, champion)
    if problem is not None:
        raise PromotionError(
            f"no candidate is held against a champion that nobody promoted: {problem}",
            where=f"study {study}",
            hint="Put the alias back in MLflow, or roll back: oncoframe rollback.",
        )
    return champion


def _evidence(
    training: StoredTraining, champion: ModelVersion | None, place: Place, *, files_hold: bool
) -> Evidence:
    released = opened(champion, store=place.store) if champion else None
    return Evidence(
        challenge=held_against(training, released, place.frames_dir),
        guards=read_frame(place.frames_dir / training.frame_id).sidecar.guards,
        champion_guards=_guards(released, place.frames_dir),
        permuted=training.permuted,
        drift=_drift(place.drift_dir, training.study.name, training.frame_id),
        files_hold=files_hold,
        is_champion=champion is not None and champion.training_run_id == training.run_id,
    )


def held_against(
    training: StoredTraining, champion: Champion | None, frames_dir: Path
) -> Challenge:
    """Best model of a training against the champion, on the training's frame."""
    return challenge(read_frame(frames_dir / training.frame_id), training, champion)


def promote(found: Review, person: Person, place: Place) -> ModelVersion:
    """Make a candidate champion if it meets all conditions.

    Raises
    ------
    PromotionError
        With everything that failed; or if there is another champion than the one it was judged
        against, or the MLflow server lets this user release no models.
    AuditError
        If the audit log was changed.
    """
    study, candidate = found.candidate.study, found.candidate
    details = {
        "candidate_version": candidate.version,
        "sha256": candidate.sha256,
        "frame_id": candidate.frame_id,
        "training_run_id": candidate.training_run_id,
        **_who(person),
    }
    # Who changed the log is found before the log explains anything.
    place.log.verify()
    try:
        if found.failed:
            raise PromotionError(found.refusal)
        if with_alias(study, "champion", store=place.store) != found.champion:
            raise PromotionError(
                "the champion changed while the candidate was judged",
                where=f"study {study}",
                hint="Promote again, which judges against the new champion.",
            )
        made = copy_to_champion(
            candidate,
            store=place.store,
            tags={"approver": person.approver, "reason": person.reason},
        )
    except OncoFrameError as error:
        refused = {**details, "why": str(error), "failed": [c.name for c in found.failed]}
        place.log.append(
            Action.PROMOTION_REFUSED, actor=actor(person), subject=study, details=refused
        )
        raise
    before = found.champion.version if found.champion else None
    place.log.append(
        Action.PROMOTED, actor=actor(person), subject=study,
        details={**details, "version": made.version, "champion_before": before,
                 "conditions": [condition.as_dict() for condition in found.conditions]},
    )  # fmt: skip
    return made


def rollback(study: str, person: Person, place: Place) -> tuple[ModelVersion, ModelVersion]:
    """Make the previous champion of a study champion again.

    Returns
    -------
    The champion from now on, and the one until now.

    Raises
    ------
    PromotionError
        If the person has no role, gives no reason, or there is no previous champion that the gate
        once promoted.
    AuditError
        If the audit log was changed.
    """
    failed = [condition for condition in judge_person(person) if not condition.passed]
    if failed:
        raise PromotionError(refusal(f"{study} is not rolled back", failed))
    entries = place.log.entries()
    previous = with_alias(study, "previous", store=place.store)
    if previous is not None and not was_promoted(entries, previous):
        raise PromotionError(
            f"{previous.label} was never promoted by the gate", where="alias previous"
        )
    now, before = rollback_aliases(study, store=place.store)
    place.log.append(
        Action.ROLLED_BACK, actor=actor(person), subject=study,
        details={"version": now.version, "sha256": now.sha256, "champion_before": before.version,
                 "frame_id": now.frame_id, **_who(person)},
    )  # fmt: skip
    return now, before


def alias_problem(study: str, place: Place) -> str | None:
    """What is wrong with the champion's alias, in a sentence; None if nothing.

    Raises
    ------
    AuditError
        If the audit log was changed.
    """
    champion = with_alias(study, "champion", store=place.store)
    return unexplained_champion(place.log.entries(), study, champion)


def refusal(what: str, failed: Sequence[Condition]) -> str:
    """Conditions that failed, in one sentence."""
    listed = " ".join(f"[{condition.name}] {condition.sentence}" for condition in failed)
    fail = "1 condition fails" if len(failed) == 1 else f"{len(failed)} conditions fail"
    return f"{what}; {fail}: {listed}"


def actor(person: Person) -> str:
    """Who acts: user of the MLflow server where there is one, else of the machine."""
    return person.signed_in or machine_user()


def _who(person: Person) -> dict[str, Any]:
    return {
        "approver": person.approver,
        "reason": person.reason,
        "accepts_suspects": person.accepts_suspects,
    }


def _guards(champion: Champion | None, frames_dir: Path) -> Mapping[str, Any]:
    if champion is None:
        return {}
    guards: dict[str, Any] = read_sidecar(frames_dir, champion.training.frame_id)["guards"]
    return guards


def _drift(folder: Path, study: str, frame_id: str) -> DriftState | None:
    found = newest_verdict(folder, study, reference_frame_id=frame_id)
    if found is None:
        return None
    said = f"{found.sentence[0].upper()}{found.sentence[1:]} (judged {found.judged_at:%Y-%m-%d})."
    return DriftState(found.drifted, said)
