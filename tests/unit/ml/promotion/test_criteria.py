"""The gate: a candidate that meets everything passes, and each condition alone refuses it."""

from dataclasses import replace

import pytest

from ml.evaluation.calibration import CalibrationSummary
from ml.intervals import Estimate
from ml.promotion.comparison import Challenge, Comparison, GroupComparison
from ml.promotion.criteria import DriftState, Evidence, Person, judge, judge_training
from ml.study.modelling import Promotion

RULES = Promotion(margin=0.03, max_ece=0.15, ece_margin=0.05, subgroup_margin=0.05)


UNKNOWN = Estimate(float("nan"), float("nan"), float("nan"))


def same(value: float = 0.0, low: float = -0.02, high: float = 0.02) -> dict[str, Estimate]:
    """Better by so much in every metric, of which the log loss is better where it is lower."""
    found = dict.fromkeys(("accuracy", "macro_f1"), Estimate(value, low, high))
    return {"log_loss": Estimate(-value, -high, -low), **found}


CALIBRATED = CalibrationSummary(
    "dead", Estimate(0.05, -0.3, 0.4), Estimate(0.9, 0.7, 1.1), Estimate(1.04, 0.8, 1.3), ece=0.05
)
OVERALL = Comparison(
    patients=200,
    challenger=same(0.9, 0.85, 0.95),
    champion=same(0.9, 0.85, 0.95),
    difference=same(),
    calibration_challenger=CALIBRATED,
    calibration_champion=CALIBRATED,
)
CHALLENGE = Challenge(
    has_champion=True,
    left_out=0,
    newcomers=20,
    overall=OVERALL,
    on_newcomers=None,
    groups=(GroupComparison("sex", "f", 100, 0.9, 0.9, Estimate(0.0, -0.04, 0.04)),),
)
SUSPECT = {"column": "fusion__PML_u3a__u3a_RARA", "label": "APL", "auc": 1.0}
EVIDENCE = Evidence(
    challenge=CHALLENGE,
    guards={"verdict": "suspected leakage", "suspected_leakage": [SUSPECT]},
    champion_guards={"verdict": "suspected leakage", "suspected_leakage": [SUSPECT]},
    permuted=[{"modalities": "all", "auroc": [0.49, 0.44, 0.54]}],
    drift=DriftState(drifted=False, sentence="No drift."),
    files_hold=True,
    is_champion=False,
)
PERSON = Person("dr_lee", None, ["dr_lee", "dr_kim"], "better on APL")


def refused(evidence: Evidence = EVIDENCE, person: Person = PERSON) -> dict[str, str]:
    """Conditions that did not hold, with their sentences."""
    return {c.name: c.sentence for c in judge(evidence, person, RULES) if not c.passed}


def errors(own: float, champion: float) -> Evidence:
    return overall(
        calibration_challenger=replace(CALIBRATED, ece=own),
        calibration_champion=replace(CALIBRATED, ece=champion),
    )


def overall(**changed) -> Evidence:
    told = replace(CHALLENGE, overall=replace(OVERALL, **changed))
    return replace(EVIDENCE, challenge=told)


def test_judge__passes_what_meets_every_condition():
    assert refused() == {}
    assert len(judge(EVIDENCE, PERSON, RULES)) == 9


@pytest.mark.parametrize("metric", ["log_loss", "accuracy", "macro_f1"])
def test_judge__refuses_a_metric_below_the_margin(metric):
    """A mean over metrics would hide that the rare classes got worse."""
    worse, at_the_margin = same(-0.01, -0.031, 0.01), same(-0.01, -0.03, 0.01)

    assert list(refused(overall(difference={**same(), metric: worse[metric]}))) == ["metrics"]
    assert refused(overall(difference={**same(), metric: at_the_margin[metric]})) == {}


def test_judge__refuses_a_metric_that_nobody_could_measure():
    """NaN is larger and smaller than nothing; a wrong comparison would let it pass."""
    nan = float("nan")
    assert list(refused(overall(difference=same(nan, nan, nan)))) == ["metrics"]


@pytest.mark.parametrize(("own", "champion"), [(0.16, 0.16), (0.11, 0.05), (float("nan"), 0.05)])
def test_judge__refuses_bad_calibration(own, champion):
    """Above the limit, or within it and much worse than now."""
    assert list(refused(errors(own, champion))) == ["calibration"]
    assert refused(errors(0.10, 0.05)) == {}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        # 0.357 predicted where 0.200 died.
        ({"in_the_large": Estimate(-0.8, -1.2, -0.4)}, "in the large of dead -0.80"),
        ({"in_the_large": Estimate(0.3, 0.1, 0.5)}, "in the large of dead +0.30"),
        ({"slope": Estimate(0.5, 0.3, 0.7)}, "lope +0.50"),
        ({"slope": Estimate(1.5, 1.2, 1.9)}, "lope +1.50"),
        ({"slope": UNKNOWN, "reason": "nine are too few"}, "nine are too few"),
    ],
)
def test_judge__refuses_risks_that_do_not_mean_what_they_say(wrong, said):
    """A calibration error of few bins looks the same for a model that says twice too much."""
    told = overall(calibration_challenger=replace(CALIBRATED, **wrong))

    assert list(refused(told)) == ["calibration"]
    assert said in refused(told)["calibration"]


@pytest.mark.parametrize(
    "near",
    [
        {"in_the_large": Estimate(0.4, -0.1, 0.9)},  # few patients: not shown to be off
        {"in_the_large": Estimate(0.1, 0.05, 0.15)},  # many patients: shown, and small
        {"slope": Estimate(0.85, 0.8, 0.9)},
        {"slope": Estimate(0.6, 0.1, 1.1)},
    ],
)
def test_judge__lets_pass_what_is_near_or_not_shown_to_be_far(near):
    assert refused(overall(calibration_challenger=replace(CALIBRATED, **near))) == {}


def test_judge__refuses_a_subgroup_that_is_served_worse():
    """Better on the whole, worse for the women: the mean does not show it."""
    worse = GroupComparison("sex", "f", 100, 0.8, 0.9, Estimate(-0.1, -0.16, -0.04))
    told = replace(EVIDENCE, challenge=replace(CHALLENGE, groups=(*CHALLENGE.groups, worse)))

    assert list(refused(told)) == ["subgroups"]
    assert "sex f (100 patients)" in refused(told)["subgroups"]


@pytest.mark.parametrize("apart", [Estimate(-0.1, -0.2, 0.01), Estimate(-0.05, -0.06, -0.04)])
def test_judge__lets_a_subgroup_pass_that_is_not_shown_to_be_worse(apart):
    """The luck of twenty patients, or a difference within the margin, is no finding."""
    group = GroupComparison("site", "A", 20, 0.8, 0.9, apart)
    told = replace(EVIDENCE, challenge=replace(CHALLENGE, groups=(group,)))

    assert refused(told) == {}


def test_judge__refuses_a_new_suspected_leak():
    """A known one was accepted with the champion; a new one needs a person who says so."""
    leak = {"column": "clinical__days_survived", "label": "APL", "auc": 0.99}
    told = replace(EVIDENCE, guards={**EVIDENCE.guards, "suspected_leakage": [SUSPECT, leak]})

    assert list(refused(told)) == ["leakage"]
    assert "clinical__days_survived" in refused(told)["leakage"]
    assert SUSPECT["column"] not in refused(told)["leakage"]
    assert refused(told, replace(PERSON, accepts_suspects=True)) == {}


def test_judge__refuses_a_frame_that_no_guard_looked_at():
    assert list(refused(replace(EVIDENCE, guards={}))) == ["leakage"]
    accepted = replace(PERSON, accepts_suspects=True)
    assert list(refused(replace(EVIDENCE, guards={}), accepted)) == ["leakage"]


def test_judge__refuses_shuffled_labels_above_chance():
    """What finds something in nothing finds too much in everything."""
    above = [{"modalities": "all", "auroc": [0.70, 0.62, 0.78]}]
    below = [{"modalities": "all", "auroc": [0.40, 0.32, 0.48]}]

    assert list(refused(replace(EVIDENCE, permuted=above))) == ["shuffled_labels"]
    assert list(refused(replace(EVIDENCE, permuted=[]))) == ["shuffled_labels"]
    assert refused(replace(EVIDENCE, permuted=below)) == {}


def test_judge__refuses_shuffled_labels_that_nobody_could_measure():
    """NaN is larger than nothing; what was not found out would count as found in order."""
    nan = float("nan")
    unknown = [{"modalities": "all", "auroc": [nan, nan, nan]}]
    assert list(refused(replace(EVIDENCE, permuted=unknown))) == ["shuffled_labels"]


def test_judge__allows_for_the_luck_of_many_shuffles():
    """Of forty shuffles one is expected outside its interval."""
    lucky = {"modalities": "all", "auroc": [0.56, 0.51, 0.61]}
    plain = {"modalities": "all", "auroc": [0.50, 0.45, 0.55]}

    assert refused(replace(EVIDENCE, permuted=[lucky, *[plain] * 39])) == {}
    assert list(refused(replace(EVIDENCE, permuted=[lucky]))) == ["shuffled_labels"]


def test_judge__refuses_under_drift_or_without_a_verdict():
    """No verdict is no good news."""
    drifted = replace(EVIDENCE, drift=DriftState(drifted=True, sentence="snv drifted."))

    assert refused(drifted) == {"drift": "snv drifted."}
    assert list(refused(replace(EVIDENCE, drift=None))) == ["drift"]


@pytest.mark.parametrize("name", ["", " ", "intern", "dr_lee2"])
def test_judge__refuses_who_has_no_role(name):
    assert list(refused(person=replace(PERSON, approver=name))) == ["approver"]


def test_judge__refuses_the_name_of_somebody_else():
    """On a server the name is that of the password."""
    assert refused(person=replace(PERSON, signed_in="dr_lee")) == {}
    assert list(refused(person=replace(PERSON, signed_in="intern"))) == ["approver"]
    both = replace(PERSON, approver="intern", signed_in="intern")
    assert list(refused(person=both)) == ["approver"]


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_judge__refuses_without_a_reason(reason):
    assert list(refused(person=replace(PERSON, reason=reason))) == ["reason"]


def test_judge__refuses_changed_files_and_the_champion_itself():
    """Promoted twice, ``previous`` would point at the champion and no rollback be possible."""
    assert list(refused(replace(EVIDENCE, files_hold=False))) == ["candidate"]
    assert list(refused(replace(EVIDENCE, is_champion=True))) == ["candidate"]


def test_judge__lists_everything_that_failed():
    """One refusal at a time sends people round in circles."""
    evidence = replace(
        overall(
            difference=same(-0.2, -0.3, -0.1), calibration_challenger=replace(CALIBRATED, ece=0.4)
        ),
        guards={}, permuted=[], drift=None, files_hold=False,
    )  # fmt: skip
    group = GroupComparison("sex", "f", 100, 0.5, 0.9, Estimate(-0.4, -0.5, -0.3))
    evidence = replace(evidence, challenge=replace(evidence.challenge, groups=(group,)))

    found = refused(evidence, Person("", None, [], ""))

    assert set(found) == {c.name for c in judge(EVIDENCE, PERSON, RULES)}


FIRST = replace(
    EVIDENCE,
    challenge=replace(
        CHALLENGE,
        has_champion=False,
        overall=replace(OVERALL, difference=same(0.4, 0.3, 0.5), calibration_champion=None),
    ),
    champion_guards={},
    drift=None,
)


def test_judge__the_first_champion_must_know_more_than_the_most_frequent_class():
    person = replace(PERSON, accepts_suspects=True)
    useless = replace(
        FIRST,
        challenge=replace(
            FIRST.challenge,
            overall=replace(FIRST.challenge.overall, difference=same(0.0, 0.0, 0.0)),
        ),
    )

    assert refused(FIRST, person) == {}
    assert list(refused(useless, person)) == ["metrics"]


def test_judge__the_first_champion_is_asked_about_every_suspect():
    """Nobody accepted them before."""
    assert list(refused(FIRST)) == ["leakage"]


RESULT = {
    "best_by": "log_loss",
    "best": {"calibration": CALIBRATED.as_dict()},
    "rivals": [
        {"kind": "constant", "name": "the class shares", "is_beaten": True},
        {"kind": "simplest", "name": "elastic_net on clinical", "is_beaten": True},
    ],
    "permuted": EVIDENCE.permuted,
}
GUARDS = {"verdict": "clean", "suspected_leakage": []}


def failed(guards=GUARDS, **changed):
    found = judge_training({**RESULT, **changed}, guards, RULES)
    return {c.name: c.sentence for c in found if not c.passed}


def test_judge_training__asks_what_the_gate_will_ask():
    """A page that praises what the gate then refuses."""
    off = replace(CALIBRATED, in_the_large=Estimate(-0.8, -1.2, -0.4)).as_dict()
    nothing = [{**RESULT["rivals"][0], "is_beaten": False}]

    assert failed() == {}
    assert set(failed(best={"calibration": off})) == {"calibration"}
    assert set(failed(rivals=nothing)) == {"metrics"}
    assert set(failed(permuted=[{"modalities": "all", "auroc": [0.7, 0.6, 0.8]}])) == {
        "shuffled_labels"
    }
    assert set(failed(guards={**GUARDS, "suspected_leakage": [SUSPECT]})) == {"leakage"}
    assert set(failed(guards={})) == {"leakage"}
