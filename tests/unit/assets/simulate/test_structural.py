"""Synthetic structural variants and copy numbers: what is planted is what the readers find."""

from pathlib import Path

import polars as pl
import pytest

from assets.genomics.cnv import reader as cnv
from assets.genomics.sv import reader as sv
from assets.simulate import catalogue
from assets.simulate.cnv_files import draw_noise, draw_segments, write_call_cns
from assets.simulate.design import make_plan
from assets.simulate.karyotype import planted_copies, planted_joins
from assets.simulate.patient import draw_patient
from assets.simulate.sv_files import draw_structural, write_manta
from oncoframe.reference.builds import CHROMOSOMES

pytestmark = pytest.mark.slow

SEED, PATIENTS = 11, 700


@pytest.fixture(scope="module")
def cohort():
    plan = make_plan(PATIENTS, SEED)
    return [draw_patient(plan, index) for index in range(PATIENTS)]


@pytest.fixture(scope="module")
def extracted(cohort, tmp_path_factory):
    """First specimen of every tenth patient, read back."""
    folder = tmp_path_factory.mktemp("structural")
    found = {}
    for patient in cohort[::10]:
        specimen = patient.specimens[0]
        vcf, cns = folder / f"{patient.index}.vcf.gz", folder / f"{patient.index}.cns"
        calls = draw_structural(SEED, patient, specimen)
        write_manta(vcf, patient.patient_id, calls, has_normal=patient.site.has_normal_sample)
        segments = draw_segments(SEED, patient, specimen)
        noise = draw_noise(SEED, patient, specimen, len(segments))
        write_call_cns(cns, segments, specimen.purity, noise)
        found[patient.index] = (
            patient,
            sv.extract(vcf, reference_build="GRCh38"),
            cnv.extract(cns, reference_build="GRCh38"),
        )
    return found


def values(block) -> dict[str, float]:
    return dict(zip(block.names, block.values.tolist(), strict=True))


def test_manta_files__hold_the_fusions_of_the_transcriptome(extracted):
    """A genome without the break of a fusion would teach models that the assays contradict."""
    seen = set()
    for patient, found, _ in extracted.values():
        joins = values(found.blocks["sv_join"])
        for name in patient.specimens[0].fusions:
            fusion = catalogue.fusions()[name].name
            assert fusion in joins, patient.patient_id
            seen.add(fusion)
    assert len(seen) > 5


def test_manta_files__hold_nothing_that_was_not_planted(extracted):
    """Passengers must not make fusions of the panel by chance."""
    for patient, found, _ in extracted.values():
        pairs = {frozenset(n.split("::")) for n in values(found.blocks["sv_join"])}
        planted = {frozenset(catalogue.fusions()[n].name.split("::"))
                   for n in patient.specimens[0].fusions}  # fmt: skip
        if not any(change.startswith(("t(", "inv(")) for change in patient.karyotype):
            assert pairs <= planted
        adds_up = found.used + sum(found.filtered.values())
        assert adds_up == found.records


def test_call_cns_files__hold_the_karyotype(extracted):
    """-7, +8 and del(5q) of the clinical sheet are in the copies, diluted by normal cells."""
    checked = set()
    for patient, _, found in extracted.values():
        purity = patient.specimens[0].purity
        for change in patient.karyotype:
            if change in ("-7", "+8", "+21", "+12", "-18"):
                arm = change[1:] + "q"
                gained = 1 if change[0] == "+" else -1
                expected = (purity * (2 + gained) + (1 - purity) * 2) / 2
                assert found.features[f"cnv_{arm}_ratio"] == pytest.approx(expected, abs=0.06)
                side = "gained" if gained > 0 else "lost"
                assert found.features[f"cnv_{arm}_{side}"] == 1.0
                checked.add(change)
            if change == "del(5)(q13q33)":
                bands = values(found.blocks["cnv_band_ratio"])
                assert bands["5q31.2"] == pytest.approx(1 - purity / 2, abs=0.05)
                assert bands["5p15.33"] == pytest.approx(1, abs=0.05)
                assert 0.4 < found.features["cnv_5q_lost"] < 0.95
                checked.add(change)
    assert {"-7", "+8", "del(5)(q13q33)"} <= checked


def test_call_cns_files__of_a_normal_karyotype_are_flat(extracted):
    """Noise alone must not look like a loss."""
    for patient, _, found in extracted.values():
        if not patient.karyotype:
            assert found.features["cnv_altered_fraction"] == 0.0
            assert found.features["cnv_ploidy"] == 2.0


def test_planted_changes__are_of_the_patient_and_gone_in_remission(cohort):
    """A relapse with other breakpoints would be another leukaemia."""
    followed = [p for p in cohort if len(p.specimens) > 1 and p.karyotype]
    assert followed
    for patient in followed:
        first, later = patient.specimens
        if later.purity:
            assert planted_copies(SEED, patient, first) == planted_copies(SEED, patient, later)
            if first.fusions == later.fusions:
                assert planted_joins(SEED, patient, first) == planted_joins(SEED, patient, later)
        else:
            assert planted_joins(SEED, patient, later) == []
            assert planted_copies(SEED, patient, later) == []


def test_write_manta__gives_a_sorted_vcf_and_the_same_bytes(cohort, tmp_path):
    """Index tools need the order, and two runs of a demo must hash alike."""
    patient = next(p for p in cohort if p.specimens[0].fusions)
    paths = [tmp_path / "a.vcf.gz", tmp_path / "b.vcf.gz"]
    for path in paths:
        calls = draw_structural(SEED, patient, patient.specimens[0])
        write_manta(path, patient.patient_id, calls, has_normal=True)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    rows = _positions(paths[0])
    order = {f"chr{name}": number for number, name in enumerate(CHROMOSOMES)}
    assert rows == sorted(rows, key=lambda row: (order[row[0]], row[1]))


def _positions(path: Path) -> list[tuple[str, int]]:
    table = pl.read_csv(path, separator="\t", comment_prefix="##", columns=[0, 1])
    return table.rows()
