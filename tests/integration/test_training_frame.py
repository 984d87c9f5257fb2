"""Frames through the real feature store: rebuilt to the byte, compared with the reason."""

import random
import shutil

import dagster as dg
import polars as pl
import pytest

from assets.clinical.contract import clinical_contract
from assets.expression.quantification import CONTRACT as EXPRESSION
from assets.genomics.fusion.reader import CONTRACT as FUSION
from assets.store.catalog import service_contracts
from assets.training import defs as glue
from assets.training.data_version import data_version
from assets.training.diff import Why, diff_frames
from assets.training.frames import FrameRequest, rebuild
from assets.training.sidecar import FRAME
from feature_repo.client import apply
from orchestration.frames import frame_builder
from orchestration.settings import Settings
from orchestration.studies.retraining import DATA_VERSION_TAG

CLINICAL = clinical_contract()
MODALITIES = ("fusion", "expression", "clinical")


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """A home whose registry knows our views; registering takes seconds."""
    home = tmp_path_factory.mktemp("registry") / "home"
    apply(home)
    return home


@pytest.fixture
def ward(hospital, registry):
    """Twelve patients of two classes with fusions, expression and clinical rows."""
    shutil.copytree(registry, hospital.home, dirs_exist_ok=True)
    hospital.lake.extend_dictionary("gene", pl.Series(["ABL1", "FLT3", "NPM1"]))
    for number in range(12):
        patient = f"P{number:02d}"
        hospital.admit(patient, ("AML", "ALL")[number % 2])
        hospital.measure(FUSION, patient, fusion_count=number % 3, reference_build="GRCh38")
        hospital.measure(CLINICAL, patient, age_at_index_years=40.0 + number)
        if number != 11:
            hospital.measure(
                EXPRESSION, patient, expression_unit="counts", expression=[1.0, number, 3.0]
            )
    hospital.measure(EXPRESSION, "P11", expression_performed=False)
    return hospital


@pytest.fixture
def builder(ward):
    return frame_builder(Settings(home=ward.home), ward.lake, ward.study())


@pytest.fixture
def build(builder, ward):
    """Frame id of the toy study as of a day."""

    def run(day=None, modalities=MODALITIES):
        as_of = None if day is None else ward.at(day)
        return builder.build(FrameRequest(ward.study(), as_of, modalities))["frame_id"]

    return run


def test_rebuild__is_byte_identical_after_a_hundred_later_events(ward, builder, build):
    """A published result that cannot be rebuilt cannot be checked."""
    frame_id = build()
    before = {path.name: path.read_bytes() for path in (builder.folder / frame_id).iterdir()}
    chance = random.Random(1)
    for number in range(100):
        patient = f"P{chance.randrange(12):02d}"
        day = 1 + number / 10
        match chance.randrange(5):
            case 0:
                ward.measure(FUSION, patient, created=day, fusion_count=9)
            case 1:
                ward.lake.extend_dictionary("gene", pl.Series([f"G{number}"]))
                ward.measure(EXPRESSION, patient, created=day, expression_unit="counts",
                             expression=[5.0] * 4)  # fmt: skip
            case 2:
                ward.measure(CLINICAL, patient, created=day, age_at_index_years=99.0)
            case 3:
                ward.admit(f"N{number:02d}", "AML", created=day)
            case _:
                ward.admit(patient, "MPAL", created=day)

    again = rebuild(builder.lake, builder.folder, frame_id)

    assert {path.name: path.read_bytes() for path in again.iterdir()} == before
    assert build() != frame_id


def test_diff__gives_the_reason_of_every_change(ward, builder, build):
    """A changed score is a correction, a late result or other code: three different phone calls."""
    first = build()
    ward.measure(FUSION, "P00", created=1, fusion_count=9, source_sha256="repaired")
    ward.measure(FUSION, "P01", created=1, fusion_count=8, code_version="2")
    ward.measure(FUSION, "P02", event=-3, created=1, fusion_count=7)
    ward.measure(CLINICAL, "P03", event=-1, created=1, age_at_index_years=1.0)
    ward.measure(EXPRESSION, "P11", created=1, expression_unit="counts", expression=[1.0] * 3,
                 source_sha256="repeated")  # fmt: skip
    ward.admit("new", "AML", created=1)
    ward.measure(FUSION, "new", created=1, fusion_count=1)
    ward.admit("P05", "AML", created=1)
    ward.admit("P04", "AML", created=1, exclusion="no consent")
    second = build()

    found = diff_frames(ward.lake, builder.folder, first, second)

    told = {(row["patient_id"], row["column"]): row for row in found.values.to_dicts()}
    assert found.patients_added == {"new": "not in the cohort then"}
    assert found.patients_removed == {"P04": "no consent"}
    assert (found.columns_added, found.columns_removed) == ({}, {})
    count = "fusion_features__fusion_count"
    assert told["P00", count] == {
        "patient_id": "P00", "column": count, "before": "0", "after": "9", "why": Why.CORRECTION
    }  # fmt: skip
    assert told["P01", count]["why"] == Why.OTHER_CODE
    assert told["P05", "label"]["why"] == Why.OTHER_LABEL
    assert told["P11", "expression_features__expression"] == {
        "patient_id": "P11", "column": "expression_features__expression", "before": None,
        "after": "3 of 3 positions", "why": Why.CORRECTION,
    }  # fmt: skip
    # Older specimens than the one in the frame change nothing.
    assert {patient for patient, _ in told} == {"P00", "P01", "P05", "P11"}


def test_diff__tells_late_arrivals_from_new_specimens(ward, builder, build):
    """A second specimen is another state of the patient, a late file is the same one."""
    ward.admit("serial", "AML", index=10)
    ward.admit("late", "AML", index=10)
    ward.measure(FUSION, "serial", fusion_count=1)
    first = build(day=11)
    ward.measure(FUSION, "serial", event=9, created=12, fusion_count=2)
    ward.measure(FUSION, "late", event=9, created=12, fusion_count=2)
    second = build(day=12)

    values = diff_frames(ward.lake, builder.folder, first, second).values
    back = diff_frames(ward.lake, builder.folder, second, first).values

    why = {(row["patient_id"], row["why"]) for row in values.to_dicts()}
    assert why == {("serial", Why.NEW_SPECIMEN), ("late", Why.LATE_ARRIVAL)}
    assert {row["why"] for row in back.filter(patient_id="late").to_dicts()} == {Why.NOT_KNOWN_YET}


def test_diff__of_a_frame_with_itself_is_empty(ward, builder, build):
    """Also where values are missing: null is not another value."""
    frame_id = build()

    found = diff_frames(ward.lake, builder.folder, frame_id, frame_id)

    assert found.values.is_empty()
    assert not found.patients_added
    assert not found.columns_removed


def test_diff__names_columns_of_a_modality_that_was_not_asked_for(ward, builder, build):
    narrow = build(modalities=("fusion",))

    found = diff_frames(ward.lake, builder.folder, narrow, build())

    assert set(found.columns_added.values()) == {
        "modality expression was not asked for", "modality clinical was not asked for"
    }  # fmt: skip


def test_frame__tells_not_performed_from_failed_only_by_its_values(builder, build):
    """Neither is a zero: the flag is false, every value null."""
    rows = pl.read_parquet(builder.folder / build() / FRAME)

    last = rows.filter(patient_id="P11").row(0, named=True)
    assert last["expression_features__expression_performed"] is False
    assert last["expression_features__expression"] is None
    assert last["fusion_features__fusion_performed"] is True
    assert last["fusion_features__fusion_count"] == 2


@pytest.mark.parametrize(
    ("config", "tags", "found"),
    [
        ({}, {DATA_VERSION_TAG: "of the tick"}, "now"),
        ({"modalities": ["fusion"]}, {DATA_VERSION_TAG: "of the tick"}, "of the tick"),
        ({}, {}, None),
    ],
)
def test_training_frame__tells_its_run_which_data_it_read(
    ward, instance, monkeypatch, config, tags, found
):
    """Files that landed between tick and run would be trained on twice."""
    study = ward.study()
    monkeypatch.setattr(glue, "study_names", lambda: ["toy"])
    monkeypatch.setattr(glue, "load_study", lambda _: study)
    done = dg.materialize(
        [glue.defs().get_assets_def(["training_frame", "toy"])],
        instance=instance,
        resources={"settings": Settings(home=ward.home), "lake": ward.lake},
        run_config={"ops": {"training_frame__toy": {"config": config}}},
        tags=tags,
    )
    now = data_version(ward.lake, study, service_contracts(study.features.service))
    assert done.success
    told = instance.get_run_by_id(done.run_id).tags.get(DATA_VERSION_TAG)
    assert told == (now if found == "now" else found)
