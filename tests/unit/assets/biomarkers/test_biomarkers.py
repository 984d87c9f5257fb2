"""Biomarkers: every kind of rule on planted findings, three answers, two clocks."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from assets.biomarkers.agreement import Comparison, agreements
from assets.biomarkers.contract import CONTRACT, EVIDENCE, UNREADABLE
from assets.biomarkers.evaluate import evaluate
from assets.biomarkers.karyotypes import karyotype_answers
from assets.biomarkers.observations import cnv_answers, expression_ratios, sv_answers
from assets.biomarkers.publish import publish
from assets.biomarkers.questions import Atoms, column
from assets.clinical.contract import clinical_contract
from assets.expression.quantification import CONTRACT as EXPRESSION
from assets.genomics.fusion.reader import CONTRACT as FUSION
from assets.genomics.panel.entries import load_panel
from assets.genomics.panel.rules import Combination, Entry, Finding, Panel, Source
from assets.genomics.snv.reader import CONTRACT as SNV
from assets.store.catalog import service_contracts
from oncoframe.errors import StudyError
from oncoframe.modalities import feature_contracts

PANEL = load_panel()
ATOMS = Atoms(PANEL)
#: One answer per atom, all unknown.
UNKNOWN = {column(source, atom): None for source in Source for atom in ATOMS.all[source]}


def one(**answers: bool | None) -> dict:
    """Biomarkers of one patient; ``snv={"FLT3_ITD": True}`` sets the atoms of a source."""
    told = {
        column(Source(source), atom): value
        for source, atoms in answers.items()
        for atom, value in atoms.items()
    }
    assert set(told) <= set(UNKNOWN)
    frame = pl.DataFrame([{**UNKNOWN, **told}], schema=dict.fromkeys(UNKNOWN, pl.Boolean()))
    return evaluate(frame, ATOMS).row(0, named=True)


def everything(source: Source, *, value: bool) -> dict[str, bool]:
    return dict.fromkeys(ATOMS.all[source], value)


@pytest.mark.parametrize(
    ("fusion", "karyotype", "expected"),
    [
        (True, None, True),
        (None, True, True),
        (True, False, True),
        (False, True, True),
        (False, False, False),
        (False, None, False),
        (None, False, False),
        (None, None, None),
    ],
)
def test_evaluate__is_true_by_any_source_and_false_by_any_that_looked(fusion, karyotype, expected):
    """An assay that was not done must not deny; one that was done must."""
    found = one(fusion={"DEK::NUP214": fusion}, karyotype={"t(6;9)(p22|p23;q34)": karyotype})
    assert found["DEK::NUP214"] is expected


@pytest.mark.parametrize(
    ("biomarker", "source", "expected"),
    [
        ("NUP98::NSD1", Source.KARYOTYPE, None),  # cryptic: banding cannot exclude it
        ("NUP98::NSD1", Source.FUSION, False),
        ("GATA2::MECOM", Source.FUSION, None),  # an enhancer moves, nothing is transcribed
        ("GATA2::MECOM", Source.KARYOTYPE, False),
        ("FLT3_ITD", Source.SNV, None),  # callers of small variants miss most
        ("NPM1_exon12_frameshift", Source.SNV, False),
        ("monosomy_7", Source.KARYOTYPE, False),
        ("monosomy_7", Source.CNV, False),
        ("monosomy_7", Source.SNV, None),
    ],
)
def test_evaluate__lets_a_source_exclude_only_what_it_could_see(biomarker, source, expected):
    """A normal karyotype that denies a cryptic fusion is a false negative finding."""
    assert one(**{source: everything(source, value=False)})[biomarker] is expected


@pytest.mark.parametrize(
    ("mutated", "lost", "two_hits", "expected"),
    [
        (True, True, False, True),
        (True, None, False, None),
        (True, False, False, False),
        (False, None, False, False),
        (None, True, None, None),
        (True, None, True, True),
    ],
)
def test_evaluate__combines_by_three_valued_logic(mutated, lost, two_hits, expected):
    """TP53 multi-hit: two mutations, or one with 17p lost; unknown and false is false."""
    found = one(snv={"TP53": mutated, "TP53_multi_hit": two_hits}, karyotype={"-17p13": lost})
    assert found["TP53_multi_hit"] is expected


@pytest.mark.parametrize(
    ("five", "nine", "fifteen", "expected"),
    [(True, True, None, True), (True, False, False, False), (True, None, False, None)],
)
def test_evaluate__counts_of_several(five, nine, fifteen, expected):
    found = one(karyotype={"+5": five, "+9": nine, "+15": fifteen})
    assert found["hyperdiploid_myeloma"] is expected


def test_evaluate__says_which_sources_affirm_what():
    """The evidence names sources that affirm, not those that were asked."""
    found = one(
        fusion={"BCR::ABL1": True, "PML::RARA": False},
        karyotype={"t(9;22)(q34;q11)": True},
        snv={"JAK2_V617F": True, "TP53": False},
    )
    said = dict(part.split("=") for part in found[EVIDENCE].split(";"))
    assert said == {"BCR::ABL1": "fusion+karyotype", "JAK2_V617F": "snv"}
    assert found["biomarkers_by_karyotype"] == 1
    assert found["ABL1_rearranged"] is True
    flags = [e.id for e in PANEL.entries if e.id not in PANEL.markers]
    assert found["biomarkers_positive"] == sum(found[name] is True for name in flags)
    assert found["biomarkers_assessed"] == sum(found[name] is not None for name in flags)


def test_evaluate__knows_none_of_and_only_asks_its_own_findings():
    rules = {
        "A": Finding(mutated=("TP53",)),
        "B": Combination("none", ("A",)),
        "C": Combination("all", ("B", Finding(lost=("5q",)))),
    }
    panel = Panel("1", tuple(Entry(n, n, r, "w", "i", ("e",), 1) for n, r in rules.items()), ())
    atoms = Atoms(panel)
    names = {column(s, a) for s in Source for a in atoms.all[s]}
    asked = [
        {"snv:TP53": True, "karyotype:-5q": True},
        {"snv:TP53": False, "karyotype:-5q": True},
        {"snv:TP53": None, "karyotype:-5q": True},
    ]
    rows = [{**dict.fromkeys(names), **row} for row in asked]
    found = evaluate(pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Boolean())), atoms)
    assert found["B"].to_list() == [False, True, None]
    assert found["C"].to_list() == [False, True, None]


@pytest.mark.parametrize(
    ("text", "true", "false", "null"),
    [
        ("46,XX[20]", ["normal_karyotype"], ["monosomy_7", "PML::RARA", "complex_karyotype_any"],
         ["ETV6::RUNX1"]),
        ("45,XY,-7[20]", ["monosomy_7", "loss_7q", "loss_7"], ["trisomy_8", "loss_5q"], []),
        ("46,XX,del(5)(q13q33)[9]", ["deletion_5q", "loss_5q", "isolated_del_5q"],
         ["monosomy_5", "loss_7"], []),
        ("45,XX,del(5)(q13q33),-7[9]", ["deletion_5q"], ["isolated_del_5q"], []),
        ("55,XX,+4,+6,+10,+14,+17,+18,+21,+21,+X[20]",
         ["high_hyperdiploidy", "double_trisomy_4_10", "trisomy_21"],
         ["complex_karyotype_any", "hypodiploidy"], []),
        ("36,XX,-3,-4,-7,-9,-12,-13,-15,-16,-17,-20[20]",
         ["hypodiploidy", "low_hypodiploidy", "monosomal_karyotype"], ["near_haploidy"], []),
        ("46,XX,t(8;21)(q22;q22),+8,-7,del(9)(q22)[20]",
         ["RUNX1::RUNX1T1", "core_binding_factor", "complex_karyotype_any", "deletion_9q"],
         ["complex_karyotype", "monosomal_karyotype"], []),
        ("46,XX,i(17)(q10)[20]", ["isochromosome_17q", "loss_17p"], ["monosomy_17"], []),
        ("46,XX,zzz(3)[20]", [], [], ["monosomy_7", "normal_karyotype", "complex_karyotype_any"]),
        ("no growth", [], [], ["normal_karyotype", "trisomy_8"]),
        (None, [], [], ["normal_karyotype", "trisomy_8"]),
    ],
)  # fmt: skip
def test_karyotype_answers__reach_the_biomarkers(text, true, false, null):
    """A karyotype that was not read must not become a normal one."""
    answers = karyotype_answers(pl.Series([text], dtype=pl.String), ATOMS)
    unknown = {name: None for name in UNKNOWN if name not in answers.columns}
    frame = answers.with_columns(pl.lit(None, pl.Boolean()).alias(name) for name in unknown)
    # No fusion assay was done; what only it excludes stays open.
    found = evaluate(frame, ATOMS).row(0, named=True)
    assert {name: found[name] for name in true} == dict.fromkeys(true, True)
    open_without_rna = {"monosomal_karyotype", "complex_karyotype"} & set(false)
    assert {n: found[n] for n in false if n not in open_without_rna} == {
        n: False for n in false if n not in open_without_rna
    }
    assert {name: found[name] for name in null} == dict.fromkeys(null)


def test_karyotype_answers__give_the_reason_of_an_unreadable_one():
    answers = karyotype_answers(pl.Series(["no growth", "46,XX", None]), ATOMS)
    assert answers[UNREADABLE].to_list() == ["no_result", None, None]
    assert answers["karyotype_modal_number"].to_list() == [None, 46, None]


def vectors(*rows: list[float] | None) -> pl.Series:
    return pl.Series(rows, dtype=pl.List(pl.Float32()))


def test_sv_answers__take_either_order_and_any_partner():
    """A short vector was written before its pair had a position: nothing was found there."""
    pairs = {"ABL1::BCR": 0, "KMT2A::TP53": 1, "IGH::MYC": 2}
    found = sv_answers(vectors([1, 0, 0], [0, 2], None), ATOMS, pairs)
    assert found["sv:BCR::ABL1"].to_list() == [True, False, None]
    assert found["sv:KMT2A"].to_list() == [False, True, None]
    assert found["sv:MYC"].to_list() == [False, False, None]
    assert found["sv:PML::RARA"].to_list() == [False, False, None]


def test_cnv_answers__by_region_and_gene():
    """Loss within an arm is a loss of the arm, not of the chromosome; unmeasured stays open."""
    bands = {"7p22": 0, "7p11": 1, "7q11": 2, "7q31.2": 3, "5q31.2": 4, "chrUn": 5, "Yq11": 6}
    genes = {"IKZF1": 0, "RUNX1": 1}
    nan = np.nan
    rows = vectors(
        [0.5, 0.5, 0.5, 0.5, 1, 1, 0.5],
        [1, 1, 1, 0.5, 1.5, 1, 0.5],
        [1, 1, 1, 1, nan, 1, 0.5],
        None,
    )
    measured = vectors([0.5, 1], [1, 3], [nan, nan], None)
    found = cnv_answers(rows, measured, vectors(*[None] * 4), ATOMS, bands, genes, {})
    assert found["cnv:-7"].to_list() == [True, False, False, None]
    assert found["cnv:-7q"].to_list() == [True, True, False, None]
    assert found["cnv:-5q31-q33"].to_list() == [False, False, None, None]
    assert found["cnv:+5"].to_list() == [False, True, None, None]
    assert found["cnv:deleted IKZF1"].to_list() == [True, False, None, None]
    assert found["cnv:amplified RUNX1"].to_list() == [False, True, None, None]
    assert found["cnv:-Y"].to_list() == [None] * 4


def test_cnv_answers__are_unknown_where_a_record_of_the_arm_could_not_be_read():
    """A deletion without a number of copies must not become "no monosomy 7"."""
    bands = {"7p22": 0, "7q11": 1, "7q31.2": 2, "5q31.2": 3}
    nan = np.nan
    rows = vectors([1, 1, nan, 1], [0.5, 0.5, nan, 1], [1, 1, 1, 1])
    arms = vectors([1, nan, 1], [0.5, nan, 1], [1, 1, 1])
    axis = {"7p": 0, "7q": 1, "5q": 2}
    found = cnv_answers(rows, vectors(None, None, None), arms, ATOMS, bands, {}, axis)
    assert found["cnv:-7"].to_list() == [None, True, False]
    assert found["cnv:-7q"].to_list() == [None, True, False]
    assert found["cnv:-5q31-q33"].to_list() == [False] * 3


def test_sv_answers__are_unknown_where_a_record_of_the_pair_could_not_be_read():
    pairs = {"BCR::ABL1": 0, "KMT2A::MLLT3": 1}
    found = sv_answers(vectors([np.nan, 0], [1, np.nan], [0]), ATOMS, pairs)
    assert found["sv:BCR::ABL1"].to_list() == [None, True, False]
    assert found["sv:KMT2A"].to_list() == [False, None, False]


def test_expression_ratios__are_the_same_in_every_depth_and_unit_of_logarithm():
    """Twice the reads must not be twice the expression; without reference genes no ratio."""
    genes = {name: i for i, name in enumerate((*PANEL.housekeeping[:3], "MECOM", "WT1"))}
    counts = np.array([999, 999, 999, 3999, 0.0])
    units = pl.Series(["counts", "log2", "counts", "counts", None])
    found = expression_ratios(
        vectors(
            counts.tolist(),
            np.log2(counts + 1).tolist(),
            (2 * counts + 1).tolist(),
            [999, np.nan, np.nan, 3999, 0],
            None,
        ),
        units, ATOMS, genes,
    )  # fmt: skip
    expected = np.log2(4000) - np.log2(1000)
    assert found["MECOM_expression"][:3].to_list() == pytest.approx([expected] * 3, abs=1e-3)
    assert found["MECOM_expression"][3:].to_list() == [None, None]
    assert found["WT1_expression"][0] == pytest.approx(-np.log2(1000), abs=1e-4)
    assert found["CRLF2_expression"].null_count() == 5


NOW = datetime(2024, 6, 1, tzinfo=UTC)
LATER = datetime(2024, 8, 1, tzinfo=UTC)


def negative(contract, **flags) -> dict:
    """Row of an assay that found nothing but the flags, by domain name."""
    zero = {pl.Boolean(): False, pl.Int32(): 0, pl.Float64(): 0.0}
    row = {f.column: zero.get(f.dtype) for f in contract.features}
    return row | {f.column: flags[f.name] for f in contract.features if f.name in flags}


def rows_of(hospital) -> pl.DataFrame:
    return hospital.lake.scan(CONTRACT.table).sort("patient_id", "event_timestamp").collect()


def test_publish__uses_what_was_true_by_the_date_of_the_row(hospital):
    """A relapse mutation in the diagnosis row would be knowledge from the future."""
    hospital.measure(SNV, "P1", event=0, **negative(SNV))
    hospital.measure(SNV, "P1", event=100, **negative(SNV, NPM1_exon12_frameshift=True))
    hospital.measure(FUSION, "P1", event=3, **negative(FUSION, **{"BCR::ABL1": True}))
    hospital.measure(clinical_contract(), "P1", event=3, karyotype_iscn="45,XX,-7[20]")

    done = publish(hospital.lake, run_id="r", now=NOW)

    rows = rows_of(hospital)
    names = {f.name: f.column for f in CONTRACT.features}
    assert (done.rows, done.appended) == (3, 3)
    assert rows["event_timestamp"].to_list() == [hospital.at(day) for day in (0, 3, 100)]
    assert rows["NPM1_exon12_frameshift"].to_list() == [False, False, True]
    assert rows[names["BCR::ABL1"]].to_list() == [None, True, True]
    assert rows["monosomy_7"].to_list() == [None, True, True]
    assert rows["created_timestamp"].to_list() == [NOW] * 3
    assert rows["tool"].to_list() == ["snv", *["snv+fusion+karyotype_iscn"] * 2]


def test_publish__appends_only_what_changed(hospital):
    """Rows written again would look like corrections, and every frame get another id."""
    hospital.measure(SNV, "P1", **negative(SNV))
    hospital.measure(SNV, "P2", **negative(SNV))
    assert publish(hospital.lake, run_id="r", now=NOW).appended == 2
    assert publish(hospital.lake, run_id="r", now=NOW).appended == 0
    flags = negative(SNV, FLT3_TKD=True)
    hospital.measure(SNV, "P2", created=200, source_sha256="y", **flags)

    assert publish(hospital.lake, run_id="r", now=LATER).appended == 1
    rows = rows_of(hospital).filter(patient_id="P2").sort("created_timestamp")
    assert rows["FLT3_TKD"].to_list() == [False, True]
    assert rows["created_timestamp"].to_list() == [NOW, LATER]


def test_publish__keeps_the_result_before_a_failed_assay(hospital):
    """A failed second assay says nothing; what the first one found is still so."""
    hospital.measure(SNV, "P1", event=0, **negative(SNV, JAK2_V617F=True))
    hospital.measure(SNV, "P1", event=9, snv_performed=False)
    hospital.measure(SNV, "P2", event=0, snv_performed=False)
    publish(hospital.lake, run_id="r", now=NOW)
    rows = rows_of(hospital)
    assert rows["JAK2_V617F"].to_list() == [True, True, None]
    assert rows["biomarkers_performed"].to_list() == [True, True, False]


def test_publish__takes_back_rows_whose_sources_were_withdrawn(hospital):
    """A specimen that was never the patient's must not live on in the biomarkers."""
    hospital.measure(SNV, "P1", event=0, **negative(SNV, JAK2_V617F=True))
    hospital.measure(SNV, "P1", event=9, **negative(SNV))
    publish(hospital.lake, run_id="r", now=NOW)
    hospital.measure(SNV, "P1", event=9, created=50, snv_performed=False, withdrawn=True)
    assert publish(hospital.lake, run_id="r", now=LATER).appended == 1
    taken = rows_of(hospital).filter(pl.col("withdrawn"))
    assert taken["event_timestamp"].to_list() == [hospital.at(9)]
    assert publish(hospital.lake, run_id="r", now=LATER).appended == 0


def test_publish__counts_karyotypes_that_say_nothing(hospital):
    for patient, text in (("P1", "no growth"), ("P2", "nuc ish(BCR)x2"), ("P3", "46,XX")):
        hospital.measure(clinical_contract(), patient, karyotype_iscn=text)
    hospital.measure(clinical_contract(), "P4")
    done = publish(hospital.lake, run_id="r", now=NOW)
    assert (done.rows, done.unreadable) == (3, {"no_result": 1, "other_method": 1})


def test_publish__reads_expression_by_the_names_of_the_axis(hospital):
    names = pl.Series([*PANEL.housekeeping, "MECOM"])
    position = dict(
        hospital.lake.extend_dictionary("gene", names).select("name", "position").iter_rows()
    )
    vector = [0.0] * len(position)
    for name in PANEL.housekeeping:
        vector[position[name]] = 7.0
    vector[position["MECOM"]] = 9.5
    hospital.measure(EXPRESSION, "P1", expression=vector, expression_unit="log2")
    publish(hospital.lake, run_id="r", now=NOW)
    assert rows_of(hospital)["MECOM_expression"].to_list() == [pytest.approx(2.5)]


def test_agreements__tell_who_differs_and_why(hospital):
    for i, (flag, clinic) in enumerate(
        [
            (True, "positive"),
            (False, "positive"),
            (True, "negative"),
            (False, "negative"),
            (None, "positive"),
        ]
    ):
        patient = f"P{i}"
        row = (
            {"snv_performed": False} if flag is None else negative(SNV, NPM1_exon12_frameshift=flag)
        )
        hospital.measure(SNV, patient, **row)
        hospital.measure(clinical_contract(), patient, npm1_clinical=clinic)
    with pytest.raises(StudyError, match="no biomarkers yet"):
        agreements(hospital.lake)
    publish(hospital.lake, run_id="r", now=NOW)
    comparison = Comparison("NPM1_exon12_frameshift", "npm1_clinical", ("positive",), ("negative",))
    [found] = agreements(hospital.lake, [comparison])
    assert (found.both, found.neither, found.unknown) == (1, 1, 1)
    assert (found.patients_only_biomarker, found.patients_only_clinic) == (("P2",), ("P1",))
    assert found.affirmed_by["snv"] == 2
    assert (found.share, found.kappa) == (0.5, 0.0)
    assert found.why_only_clinic == {"0 variants of NPM1 in the file": 1}


def test_service__serves_biomarkers_instead_of_single_findings_and_no_evidence():
    """A finding beside its biomarker would be the same column twice."""
    contracts = {c.table: c for c in service_contracts("aml_who_class_v2")}
    assert not [f.name for c in contracts.values() for f in c.features if f.is_finding]
    assert [f.name for f in contracts["snv_features"].features][:1] == ["snv_variants"]
    settings = [f.name for f in CONTRACT.features if f.is_setting]
    assert EVIDENCE in settings
    first = {c.table: c for c in service_contracts("aml_who_class_v1")}
    assert first["snv_features"] == SNV
    scalars = sum(len(c.features) for c in feature_contracts())
    assert scalars >= 800
