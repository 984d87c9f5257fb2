"""Likely causes: planted ones are named, and only those."""

import numpy as np
import pytest

from ml.drift.cause import MAX_LEVELS, OTHER, Covariate, likely_causes


def patients(seed=1, reference=1500, current=120):
    """Scores without drift, who is current, and the site of each patient."""
    rng = np.random.default_rng(seed)
    is_current = np.repeat([False, True], [reference, current])
    site = rng.choice(["A", "B", "C"], len(is_current))
    # Sites have always differed: that is no drift.
    scores = rng.normal(size=len(is_current)) + np.select([site == "B", site == "C"], [0.5, 1.0])
    return rng, scores, is_current, site


@pytest.mark.parametrize("seed", range(5))
def test_likely_causes__new_level(seed):
    """Half of the new patients come with a new tool; their sites do not matter."""
    rng, scores, current, site = patients(seed)
    new = current & (rng.random(len(current)) < 0.5)
    tool = np.where(new, "v2", "v1")

    causes = likely_causes(
        scores + 1.2 * new, current, [Covariate.of("site", site), Covariate.of("tool", tool)]
    )

    assert [(c.covariate, c.level, c.how) for c in causes] == [("tool", "v2", "new")]
    assert causes[0].explained == pytest.approx(1, abs=0.35)
    assert (causes[0].before, causes[0].now) == (0, pytest.approx(new.sum() / 120))


@pytest.mark.parametrize("seed", range(5))
def test_likely_causes__level_that_measures_otherwise(seed):
    """One site, as frequent as ever, changes; the mix of sites explains nothing."""
    rng, scores, current, site = patients(seed)
    tool = rng.choice(["v1", "v2"], len(site))

    causes = likely_causes(
        scores + 1.4 * (current & (site == "B")),
        current,
        [Covariate.of("tool", tool), Covariate.of("site", site)],
    )

    assert [(c.covariate, c.level, c.how) for c in causes] == [("site", "B", "changed")]
    assert causes[0].sentence == "site B measures otherwise than before"


@pytest.mark.parametrize("seed", range(5))
def test_likely_causes__other_mix(seed):
    """Nobody measures otherwise, but more patients come from the site with the high values."""
    rng, scores, current, site = patients(seed)
    moved = current & (site != "C") & (rng.random(len(site)) < 0.8)
    scores = scores + np.select([moved & (site == "A"), moved & (site == "B")], [1.0, 0.5])
    site = np.where(moved, "C", site)
    tool = rng.choice(["v1", "v2"], len(site))

    causes = likely_causes(
        scores, current, [Covariate.of("tool", tool), Covariate.of("site", site)]
    )

    assert [(c.covariate, c.level, c.how) for c in causes] == [("site", "C", "mix")]
    assert causes[0].explained > 0.6


@pytest.mark.parametrize("seed", range(5))
def test_likely_causes__drift_of_everyone_is_nobodys(seed):
    """A scapegoat is worse than no answer: all levels drift alike."""
    rng, scores, current, site = patients(seed)
    tool = rng.choice(["v1", "v2"], len(site), p=[0.85, 0.15])

    causes = likely_causes(
        scores + 1.0 * current, current, [Covariate.of("tool", tool), Covariate.of("site", site)]
    )

    assert causes == ()


def test_likely_causes__what_cannot_be_told_apart_is_named_together():
    """A new scanner that always used a new kernel: naming one of them would be a guess."""
    rng, scores, current, _ = patients()
    new = current & (rng.random(len(current)) < 0.5)
    kernel, scanner = np.where(new, "Br64", "B30f"), np.where(new, "Force", "Flash")

    causes = likely_causes(
        scores + 1.5 * new,
        current,
        [Covariate.of("kernel", kernel), Covariate.of("scanner", scanner)],
    )

    assert {c.covariate for c in causes} == {"kernel", "scanner"}


def test_likely_causes__a_gap_in_the_record_is_no_cause():
    """Patients of whom no site is recorded are not "site (not recorded)"."""
    _, scores, current, site = patients()
    recorded = [None if now else name for now, name in zip(current, site, strict=True)]

    assert likely_causes(scores + current, current, [Covariate.of("site", recorded)]) == ()


def test_likely_causes__nothing_measured():
    _, scores, current, site = patients()
    scores[current] = np.nan

    assert likely_causes(scores, current, [Covariate.of("site", site)]) == ()


def test_covariate__rare_levels_are_one():
    values = [f"s{number:02d}" for number in range(MAX_LEVELS + 5) for _ in range(30 - number)]

    covariate = Covariate.of("site", values)

    assert len(covariate.levels) == MAX_LEVELS + 1
    assert covariate.levels[-1] == OTHER
    assert [covariate.levels[code] for code in covariate.codes[:2]] == ["s00", "s00"]
    assert covariate.levels[covariate.codes[-1]] == OTHER
