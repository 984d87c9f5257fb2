"""The TRIPOD+AI checklist: complete, and never more than the facts."""

import re

import pytest

from ml.report.tripod import ITEMS, checklist

EVERY = {name for item in ITEMS for name in item.needs} | {"recalibration", "external"}


def test_items__are_the_27_of_the_publication():
    """An item that is left out would look as if it did not exist."""
    mains = [re.match(r"\d+", item.number)[0] for item in ITEMS]
    assert list(dict.fromkeys(mains)) == [str(i) for i in range(1, 28)]
    assert len(ITEMS) == 52
    assert len({item.number for item in ITEMS}) == 52


def test_checklist__reports_nothing_without_facts():
    """A text that stands without a fact would be made up for every study."""
    answers = checklist({})

    assert {answer.status for answer in answers} == {"missing", "not applicable"}
    assert all(not answer.text for answer in answers if answer.status == "missing")


@pytest.mark.parametrize("item", [i for i in ITEMS if i.template], ids=lambda i: i.number)
def test_checklist__one_missing_fact_leaves_an_item_open(item):
    """A template filled with an empty text would read like an answer."""
    for name in item.needs:
        facts = {other: "x" for other in EVERY if other != name}

        [answer] = [a for a in checklist(facts) if a.item is item]

        assert answer.status != "reported"


def test_checklist__shows_the_facts_as_they_are():
    facts = {name: f"<{name}>" for name in EVERY}

    for answer in checklist(facts):
        if answer.status == "reported":
            assert set(re.findall(r"<\w+>", answer.text)) == {f"<{n}>" for n in answer.item.needs}


def test_checklist__what_only_authors_know_is_missing():
    """Funding or ethics that a program fills in would be invented."""
    answers = {a.item.number: a.status for a in checklist(dict.fromkeys(EVERY, "x"))}

    for number in ("3c", "8b", "10", "17", "18a", "18b", "18c", "18d", "18e", "19", "25", "27c"):
        assert answers[number] == "missing"


def test_checklist__an_item_that_does_not_apply_says_why():
    answers = {a.item.number: a for a in checklist({"title": "x"})}

    assert answers["24"].status == "not applicable"
    assert answers["24"].text == "No model was updated"
    assert answers["16"].text.startswith("No separate evaluation cohort")
