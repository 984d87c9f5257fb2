"""Population: who is in a frame, and the one reason of everybody who is not."""

import pytest

from assets.training.population import NO_LABEL, QUARANTINED, RARE_CLASS, select_population
from oncoframe.errors import StudyError
from oncoframe.ledger import TABLE, Outcome


@pytest.fixture
def select(hospital):
    """Population as of a day, of the newest tables or of given versions."""

    def run(*, day=100.0, versions=None, everyone=False, **changes):
        newest = {name: hospital.lake.version(name) for name in ("cohort", "labels", TABLE)}
        return select_population(
            hospital.lake,
            hospital.study(**changes),
            known_by=hospital.at(day),
            versions={**newest, **(versions or {})},
            everyone=everyone,
        )

    return run


def members(population):
    return population.members["patient_id"].to_list()


def reasons(population):
    return dict(population.excluded.iter_rows())


def test_select_population__names_one_reason_per_patient_left_out(hospital, select):
    """A patient who is neither in the frame nor in the list is lost without a trace."""
    for number in range(3):
        hospital.admit(f"in{number}", "AML")
    hospital.admit("nolabel", None)
    hospital.admit("noconsent", "AML", exclusion="no consent")
    hospital.admit("quarantined", "AML")
    hospital.attempt("quarantined", "snv", Outcome.QUARANTINED)
    hospital.admit("retrylater", "AML")
    hospital.attempt("retrylater", "snv", Outcome.RETRY_LATER)
    hospital.admit("rare", "MPAL")
    hospital.admit("unknown", "unknown")

    population = select(
        label={
            "name": "who", "version": "1", "min_patients_per_class": 2,
            "exclude": {"unknown": "no class"},
        }
    )  # fmt: skip

    assert members(population) == ["in0", "in1", "in2"]
    assert reasons(population) == {
        "noconsent": "no consent",
        "nolabel": NO_LABEL,
        "quarantined": QUARANTINED,
        "rare": RARE_CLASS,
        "retrylater": QUARANTINED,
        "unknown": "label unknown: no class",
    }


def test_select_population__sees_only_what_was_known_by_then(hospital, select):
    """A label corrected after the as-of time would be tomorrow's diagnosis."""
    for name in ("A", "B", "C"):
        hospital.admit(name, "AML")
    hospital.admit("A", "ALL", created=10)
    hospital.admit("late", "ALL", created=10)

    before, after = select(day=5), select()

    assert before.members["label"].to_list() == ["AML", "AML", "AML"]
    assert reasons(before) == {}
    assert dict(after.members.select("patient_id", "label").iter_rows()) == {
        "A": "ALL", "B": "AML", "C": "AML", "late": "ALL"
    }  # fmt: skip


def test_select_population__a_repaired_file_brings_its_patient_back(hospital, select):
    """The last attempt counts, not the worst one, and only attempts known by then."""
    for name in ("A", "B"):
        hospital.admit(name, "AML")
    hospital.admit("C", "AML")
    hospital.attempt("C", "snv", Outcome.QUARANTINED, day=1)
    hospital.attempt("C", "snv", Outcome.OK, day=3)

    assert members(select(day=2)) == ["A", "B"]
    assert members(select(day=4)) == ["A", "B", "C"]


def test_select_population__an_assay_not_performed_keeps_its_patient(hospital, select):
    """A missing assay is an input of the model, not a reason to drop the patient."""
    for name in ("A", "B"):
        hospital.admit(name, "AML")
        hospital.attempt(name, "snv", Outcome.NOT_PERFORMED)

    assert members(select()) == ["A", "B"]


def test_select_population__reads_the_versions_it_is_told(hospital, select):
    """A rebuilt frame must not see patients admitted since."""
    for name in ("A", "B"):
        hospital.admit(name, "AML")
    pinned = {name: hospital.lake.version(name) for name in ("cohort", "labels")}
    hospital.admit("C", "AML")

    assert members(select()) == ["A", "B", "C"]
    assert members(select(versions=pinned)) == ["A", "B"]


def test_select_population__says_why_nobody_is_left(hospital, select):
    hospital.admit("A", None)
    hospital.admit("B", "AML")

    with pytest.raises(StudyError, match=r"no patient is left; got .*1 no label"):
        select()


def test_select_population__asks_for_the_clinical_tables(select):
    with pytest.raises(StudyError, match=r"the lake has no table cohort.* Run 'oncoframe run'"):
        select()


def test_select_population__of_everyone_asks_for_no_label(hospital, select):
    """Nobody could be scored before their diagnosis is known, which is when it is wanted."""
    for name, label in (("a", "AML"), ("b", None), ("c", "MPAL"), ("d", "unknown")):
        hospital.admit(name, label)
    hospital.admit("noconsent", "AML", exclusion="no consent")
    hospital.admit("quarantined", None)
    hospital.attempt("quarantined", "snv", Outcome.QUARANTINED)

    population = select(
        everyone=True,
        label={
            "name": "who", "version": "1", "min_patients_per_class": 2,
            "exclude": {"unknown": "no class"},
        },
    )  # fmt: skip

    labels = dict(population.members.select("patient_id", "label").iter_rows())
    assert labels == {"a": "AML", "b": None, "c": "MPAL", "d": None}
    assert reasons(population) == {"noconsent": "no consent", "quarantined": QUARANTINED}
