"""The gate: what must hold before a candidate becomes the champion of its study.

    Challenge, guards of the frames, shuffled labels, drift, approver, reason -> judge -> Conditions

Pure. Every condition is evaluated, so that all that failed is listed at once. What a number must
reach stands in the study file (:class:`ml.study.modelling.Promotion`).

References
----------
Piaggio G et al. Reporting of noninferiority and equivalence randomized trials. JAMA
2012;308:2594: the lower end of the interval of the difference is held against the margin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.evaluation.calibration import CalibrationSummary
from ml.evaluation.metrics import LOSSES
from ml.evaluation.shuffled import above_chance
from ml.intervals import Estimate
from ml.promotion.comparison import COMPARED, Challenge
from ml.study.modelling import Promotion


@dataclass(frozen=True)
class Condition:
    """One condition of the gate, and in a sentence what was found."""

    name: str
    passed: bool
    sentence: str

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"name": self.name, "passed": self.passed, "sentence": self.sentence}


@dataclass(frozen=True)
class DriftState:
    """Newest verdict on the current patients against the challenger's frame, in a sentence too."""

    drifted: bool
    sentence: str


@dataclass(frozen=True)
class Person:
    """Who promotes, and why.

    Parameters
    ----------
    approver
        The name that was given.
    signed_in
        User that the MLflow server knows; None where no server checks anybody.
    approvers
        Who has the role.
    reason
        In words.
    accepts_suspects
        Says of the columns suspected to leak that they define their class.
    """

    approver: str
    signed_in: str | None
    approvers: Sequence[str]
    reason: str
    accepts_suspects: bool = False


@dataclass(frozen=True)
class Evidence:
    """What a candidate is judged by.

    Parameters
    ----------
    challenge
        Against the champion.
    guards, champion_guards
        Section ``guards`` of the sidecars of both frames; the champion's is empty without one.
    permuted
        Rows of the evaluation on shuffled labels.
    drift
        None where nobody looked.
    files_hold
        Whether the candidate's files are those that were registered.
    is_champion
        Whether the candidate's training is that of the champion already.
    """

    challenge: Challenge
    guards: Mapping[str, Any]
    champion_guards: Mapping[str, Any]
    permuted: Sequence[Mapping[str, Any]]
    drift: DriftState | None
    files_hold: bool
    is_champion: bool


def judge(evidence: Evidence, person: Person, rules: Promotion) -> tuple[Condition, ...]:
    """All conditions of a promotion, passed or not.

    Parameters
    ----------
    evidence
        On the candidate.
    person
        Who wants it promoted.
    rules
        Section ``promotion`` of the study.
    """
    return (
        _candidate(evidence),
        _metrics(evidence.challenge, rules),
        _calibration(evidence.challenge, rules),
        _subgroups(evidence.challenge, rules),
        _leakage(
            evidence.guards,
            evidence.champion_guards,
            person.approver if person.accepts_suspects else None,
        ),
        _shuffled_labels(evidence.permuted),
        _drift(evidence),
        *judge_person(person),
    )


def judge_training(
    result: Mapping[str, Any], guards: Mapping[str, Any], rules: Promotion
) -> tuple[Condition, ...]:
    """The conditions that a training meets or fails by itself, before there is a candidate.

    Parameters
    ----------
    result
        What ``oncoframe train --json`` printed.
    guards
        Section ``guards`` of the sidecar of its frame.
    rules
        Section ``promotion`` of the study.
    """
    missed = [row["name"] for row in result["rivals"] if not row["is_beaten"]]
    by = result["best_by"].replace("_", " ")
    said = f"Not shown to beat {', '.join(missed)}" if missed else "Beats all simpler ways"
    constant = next(row for row in result["rivals"] if row["kind"] == "constant")
    return (
        Condition("metrics", constant["is_beaten"], f"{said}, by {by}."),
        judge_calibration(CalibrationSummary.read(result["best"]["calibration"]), rules),
        _leakage(guards, {}, None),
        _shuffled_labels(result["permuted"]),
    )


def judge_person(person: Person) -> tuple[Condition, ...]:
    """The conditions on who promotes, which a rollback has to meet, too."""
    is_given = bool(person.reason.strip())
    said = "A reason is given." if is_given else "No reason is given."
    return (_approver(person), Condition("reason", is_given, said))


def _candidate(evidence: Evidence) -> Condition:
    if not evidence.files_hold:
        sentence = "The candidate's files are not those that were registered."
    elif evidence.is_champion:
        sentence = "The candidate is the champion already."
    else:
        sentence = "The candidate's files are those that were registered."
    return Condition("candidate", evidence.files_hold and not evidence.is_champion, sentence)


def _metrics(challenge: Challenge, rules: Promotion) -> Condition:
    rival = "the champion" if challenge.has_champion else "the class shares"
    passed, said = True, []
    for name in COMPARED:
        apart = challenge.overall.difference[name]
        worst, sign = (-apart.high, -1) if name in LOSSES else (apart.low, 1)
        # To say more than the class shares is what a first model is for.
        must_win = not challenge.has_champion and name == "log_loss"
        limit = 0.0 if must_win else -rules.margin
        holds = worst > limit if must_win else worst >= limit
        passed = passed and holds
        side = {(1, True): "above", (1, False): "at least",
                (-1, True): "below", (-1, False): "at most"}[sign, must_win]  # fmt: skip
        need = f"needs {side} {sign * limit + 0.0:+.3f}"
        said.append(f"{name.replace('_', ' ')} {_interval(apart)} ({need})")
    sentence = (
        f"Against {rival} on {challenge.overall.patients} patients, worse end of the interval: "
        f"{'; '.join(said)}."
    )
    return Condition("metrics", passed, sentence)


def _calibration(challenge: Challenge, rules: Promotion) -> Condition:
    own, other = challenge.overall.calibration_challenger, challenge.overall.calibration_champion
    passed = own.ece <= rules.max_ece
    sentence = f"Calibration error {own.ece:.3f} (at most {rules.max_ece:.3f}"
    if other is not None:
        passed = passed and own.ece <= other.ece + rules.ece_margin
        sentence += f"; the champion's is {other.ece:.3f}, at most {rules.ece_margin:.3f} more"
    found = judge_calibration(own, rules)
    return Condition("calibration", passed and found.passed, f"{sentence}). {found.sentence}")


def judge_calibration(found: CalibrationSummary, rules: Promotion) -> Condition:
    """Whether calibration in the large and slope are near 0 and 1, or cannot be told from them.

    What is not known does not pass.
    """
    passed, said = True, []
    for name, of, ideal, margin in (
        (f"calibration in the large of {found.of}", found.in_the_large, 0.0,
         rules.in_the_large_margin),
        ("slope", found.slope, 1.0, rules.slope_margin),
    ):  # fmt: skip
        # NaN is neither near nor within.
        near = abs(of.value - ideal) <= margin
        passed = passed and (near or of.low <= ideal <= of.high)
        known = f"{of.value:+.2f} [{of.low:+.2f}, {of.high:+.2f}]" if np.isfinite(of.value) else (
            "not known"
        )  # fmt: skip
        said.append(f"{name} {known} (ideal {ideal:g}, at most {margin:g} off)")
    because = f": {found.reason}" if found.reason else ""
    sentence = "; ".join(said)
    return Condition("calibration", passed, f"{sentence[0].upper()}{sentence[1:]}{because}.")


def _subgroups(challenge: Challenge, rules: Promotion) -> Condition:
    worse = [
        f"{group.grouping} {group.group} ({group.patients} patients) {_interval(group.difference)}"
        for group in challenge.groups
        if group.difference.value < -rules.subgroup_margin and group.difference.high < 0
    ]
    if worse:
        return Condition("subgroups", False, f"Served worse: {'; '.join(worse)}.")
    n = len(challenge.groups)
    return Condition(
        "subgroups", True, f"None of {n} subgroups of enough patients is served worse."
    )


def _leakage(
    guards: Mapping[str, Any], champion_guards: Mapping[str, Any], accepted_by: str | None
) -> Condition:
    if "verdict" not in guards:
        return Condition("leakage", False, "The guards did not look at the candidate's frame.")
    before = {row["column"] for row in champion_guards.get("suspected_leakage", [])}
    new = [
        f"{row['column']} tells {row['label']} (AUC {row['auc']:.3f})"
        for row in guards.get("suspected_leakage", [])
        if row["column"] not in before
    ]
    if not new:
        return Condition("leakage", True, "No column is newly suspected to leak the label.")
    listed = f"suspected to leak the label: {'; '.join(new)}"
    if accepted_by is not None:
        return Condition("leakage", True, f"Accepted by {accepted_by}, though {listed}.")
    return Condition(
        "leakage", False,
        f"Columns are {listed}. If each defines its class, say so: --accept-suspects.",
    )  # fmt: skip


def _shuffled_labels(permuted: Sequence[Mapping[str, Any]]) -> Condition:
    name = "shuffled_labels"
    if not permuted:
        return Condition(name, False, "The labels were never shuffled (permuted_labels is 0).")
    found = above_chance([row["auroc"] for row in permuted])
    if None in found:
        return Condition(name, False, "A shuffle of the labels could not be measured.")
    above = [
        f"{row['modalities']} AUROC {_plain(row['auroc'])}"
        for row, is_above in zip(permuted, found, strict=True)
        if is_above
    ]
    if above:
        return Condition(name, False, f"Shuffled labels are told above chance: {'; '.join(above)}.")
    return Condition(name, True, f"None of {len(permuted)} shuffles is told above chance.")


def _drift(evidence: Evidence) -> Condition:
    if evidence.drift is not None:
        return Condition("drift", not evidence.drift.drifted, evidence.drift.sentence)
    sentence = "Whether the patients of today drifted from the candidate's frame is not known"
    if evidence.challenge.has_champion:
        return Condition("drift", False, f"{sentence}.")
    return Condition("drift", True, f"{sentence}; nobody was scored before the first champion.")


def _approver(person: Person) -> Condition:
    name = person.approver.strip()
    if not name:
        return Condition("approver", False, "No approver is named.")
    if person.signed_in is not None and person.signed_in != name:
        return Condition(
            "approver", False,
            f"{name} is named, but {person.signed_in} is signed in to the MLflow server.",
        )  # fmt: skip
    if name not in person.approvers:
        listed = ", ".join(person.approvers) or "nobody"
        return Condition(
            "approver", False, f"{name} does not have the role approver, which {listed} has."
        )
    checked = "as the MLflow server confirms" if person.signed_in else "as named; no server checks"
    return Condition("approver", True, f"{name} has the role approver, {checked}.")


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"


def _plain(found: Sequence[float]) -> str:
    value, low, high = found
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
