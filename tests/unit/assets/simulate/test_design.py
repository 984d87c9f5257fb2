"""The plan of a synthetic cohort: quotas, planted ceiling, penetrances, and a sound catalogue."""

import numpy as np
import pytest

from assets.clinical.contract import mart
from assets.simulate import catalogue
from assets.simulate.clinical import patient_row
from assets.simulate.design import MIN_PER_ENTITY, entity_quotas, make_plan
from assets.simulate.patient import draw_patient


def test_quotas__every_entity_has_enough_patients():
    """Pure chance would leave a fold of a small cohort without a class."""
    for patients in (25, 60, 200, 500, 1000, 5000):
        quotas = entity_quotas(patients)
        assert quotas.sum() == patients
        assert quotas.min() >= MIN_PER_ENTITY
        assert (np.diff(quotas) <= 0).all()
    assert len(entity_quotas(60)) == 7
    assert len(entity_quotas(1000)) == len(catalogue.entities()) == 30
    assert entity_quotas(1).tolist() == [1]


def test_bayes_accuracy__is_what_the_decisions_reach():
    """The planted ceiling against a drawn cohort; a standard error is 0.2 %."""
    plan = make_plan(20_000, 3)
    rng = np.random.default_rng(0)
    pictures = np.array([
        (others := plan.lookalikes(int(entity)))[rng.integers(len(others))]
        if rng.random() < catalogue.LOOKALIKE_SHARE
        else entity
        for entity in plan.assigned
    ])  # fmt: skip
    right = plan.bayes_decisions()[pictures] == plan.assigned
    assert right.mean() == pytest.approx(plan.bayes_accuracy(), abs=0.006)


def test_penetrance__is_the_share_of_carriers():
    """NPM1 is planted in 98 % of its entity and hardly elsewhere; PML::RARA in 96 %."""
    plan = make_plan(1500, 5)
    drawn = [draw_patient(plan, index) for index in range(1500)]

    def share(picture: str, has) -> float:
        return float(np.mean([has(p.specimens[0]) for p in drawn if p.picture.key == picture]))

    def has_npm1(specimen) -> bool:
        return "NPM1" in {call.target for call in specimen.calls}

    assert share("aml_npm1", has_npm1) > 0.92
    assert share("aml_mr", has_npm1) == 0
    assert 0.85 < share("apl", lambda s: "PML::RARA" in s.fusions) < 1
    assert 0.25 < share("aml_npm1", lambda s: "DNMT3A" in {c.target for c in s.calls}) < 0.75


@pytest.mark.parametrize("seed", [1, 5])
def test_patient_row__stays_in_the_ranges_that_the_marts_accept(seed):
    """Of 900 patients, one had three million white cells per microlitre: dbt refused the cohort."""
    columns = mart("clinical_features")["columns"]
    about = {column["name"]: column.get("config", {}).get("meta", {}) for column in columns}
    ranges = {name: meta["range"] for name, meta in about.items() if "range" in meta}
    plan = make_plan(900, seed)

    rows = [patient_row(seed, draw_patient(plan, index)) for index in range(900)]

    found = [(name, float(row[name])) for row in rows for name in ranges if row.get(name)]
    assert len(found) > 900 * 15
    outside = [
        (name, value) for name, value in found if not ranges[name][0] <= value <= ranges[name][1]
    ]
    assert outside == []
    assert max(value for name, value in found if name == "wbc_10e9_per_l") > 300


def test_catalogue__names_only_what_it_defines():
    """A typo in a data file would silently plant nothing."""
    transcriptome = catalogue.transcriptome()
    keys = {entity.key for entity in catalogue.entities()}
    genes = set(catalogue.transcripts())
    for entity in catalogue.entities():
        assert set(entity.lookalikes) <= keys - {entity.key}
        assert set(entity.mutations) <= set(catalogue.targets())
        assert set(entity.fusions) <= set(catalogue.fusions())
        assert sum(entity.fusions.values()) <= 1
        assert set(entity.programs) <= set(transcriptome.programs)
        assert set(entity.genes) <= set(transcriptome.genes)
    assert {target.gene for target in catalogue.targets().values()} <= genes
    assert {stretch.gene for stretch in catalogue.passengers()} <= genes
    partners = [*catalogue.fusions().values(), *catalogue.artefact_fusions()]
    named = {gene for fusion in partners for gene in fusion.partners}
    assert named == set(catalogue.fusion_gene_ids())
    weights = [entity.weight for entity in catalogue.entities()]
    assert weights == sorted(weights, reverse=True)
    assert len(set(transcriptome.genes)) == len(transcriptome.genes)
