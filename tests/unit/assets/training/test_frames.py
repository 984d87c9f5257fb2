"""Frames on a real lake: identity, content, and what is never left behind half made."""

import json

import numpy as np
import polars as pl
import pytest

from assets.training.frames import FrameBuilder, FrameRequest, rebuild
from assets.training.sidecar import FRAME, SIDECAR, facts, read_sidecar
from ml.frames.frame import read_frame
from ml.study.definition import Study
from ml.training.eligibility import check_frame
from oncoframe.contracts import Block, Contract, Feature, Known
from oncoframe.errors import StudyError
from oncoframe.ledger import Outcome

BLOOD = Contract(
    table="blood",
    modality="blood",
    description="Blood counts.",
    code_version="1",
    features=(
        Feature("BCR::ABL1", pl.Boolean(), "1", "fusion seen"),
        Feature("count", pl.Int64(), "1", "cells"),
        Feature("survival_days", pl.Int64(), "d", "outcome", known=Known.AFTER_INDEX),
    ),
    blocks=(Block("profile", "gene", "1", "expression", fill=float("nan")),),
)
MARROW = Contract(
    table="marrow",
    modality="marrow",
    description="Marrow counts.",
    code_version="1",
    features=(Feature("expression_unit", pl.String(), "1", "unit"),),
)


def plain_pull(lake, contracts):
    """Point-in-time join in plain Python: the reference of the feature store's."""

    def pull(entities, versions):
        columns = {}
        for contract in contracts:
            served = [
                name
                for name in contract.schema()
                if name not in ("patient_id", "event_timestamp", "created_timestamp")
            ]
            version = versions.get(contract.table)
            rows = [] if version is None else _dicts(lake, contract, version)
            picked = [_latest(rows, ask) for ask in entities.to_dicts()]
            for name in served:
                columns[f"{contract.table}__{name}"] = pl.Series(
                    [row.get(name) for row in picked], dtype=contract.schema()[name]
                )
        return pl.concat([entities, pl.DataFrame(columns)], how="horizontal")

    return pull


def _dicts(lake, contract, version):
    return lake.scan(contract.table, version=version).collect().to_dicts()


def _latest(rows, ask):
    counts = [
        row
        for row in rows
        if row["patient_id"] == ask["patient_id"]
        and row["event_timestamp"] <= ask["event_timestamp"]
        and row["created_timestamp"] <= ask["known_by"]
    ]
    return max(
        counts, key=lambda row: (row["event_timestamp"], row["created_timestamp"]), default={}
    )


@pytest.fixture
def builder(hospital):
    contracts = (BLOOD, MARROW)
    pull = plain_pull(hospital.lake, contracts)
    return FrameBuilder(hospital.lake, hospital.home / "frames", contracts, pull)


@pytest.fixture
def ward(hospital):
    """Four patients of two classes; the last one without blood, its marrow failed."""
    hospital.lake.extend_dictionary("gene", pl.Series(["FLT3", "NPM1"]))
    for number, label in enumerate(["AML", "ALL", "AML", "ALL"]):
        hospital.admit(f"P{number}", label)
    for number in range(3):
        hospital.measure(BLOOD, f"P{number}", count=number, profile=[1.0, float(number)])
        hospital.measure(MARROW, f"P{number}", expression_unit="counts")
    hospital.measure(MARROW, "P3", marrow_performed=False)
    return hospital


@pytest.fixture
def build(builder, ward):
    """Frame id and sidecar of the toy study, or of one with changes."""

    def run(*, as_of=None, modalities=None, everyone=False, **changes):
        as_of = None if as_of is None else ward.at(as_of)
        return builder.build(FrameRequest(ward.study(**changes), as_of, modalities, everyone))

    return run


def test_build__same_data_gives_the_same_frame(build, builder):
    """A frame id that depends on the clock names nothing."""
    first = build()
    written = (builder.folder / first["frame_id"] / FRAME).stat().st_mtime_ns

    assert build() == first
    assert (builder.folder / first["frame_id"] / FRAME).stat().st_mtime_ns == written


def test_build__everything_that_changes_a_frame_changes_its_id(ward, build, monkeypatch):
    """Two frames under one id: the older one would be shown for the newer request."""
    ids = [build()["frame_id"], build(as_of=50)["frame_id"]]
    ids.append(build(modalities=("blood",))["frame_id"])
    ids.append(build(guards={"suspect_auc": 0.9})["frame_id"])
    monkeypatch.setattr("assets.training.frames.CODE_VERSION", "next")
    ids.append(build()["frame_id"])
    monkeypatch.undo()
    ward.measure(BLOOD, "P0", created=1, count=7, profile=[1.0, 0.0])
    ids.append(build()["frame_id"])

    assert len(set(ids)) == len(ids)


def test_build__holds_values_of_the_index_time_known_by_then(ward, build, builder):
    """Absent, negative and failed are three things; nothing after the index time is seen."""
    ward.measure(BLOOD, "P0", event=0, created=5, count=10, profile=[9.0, 9.0])
    ward.measure(BLOOD, "P1", event=5, created=5, count=99)

    rows = read_frame(builder.folder / build(as_of=4)["frame_id"]).rows
    later = read_frame(builder.folder / build(as_of=6)["frame_id"]).rows

    assert rows["blood__count"].to_list() == [0, 1, 2, None]
    assert later["blood__count"].to_list() == [10, 1, 2, None]
    assert rows["blood__blood_performed"].to_list() == [True, True, True, False]
    assert rows["marrow__marrow_performed"].to_list() == [True, True, True, False]
    assert rows["blood__profile"].to_list() == [[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], None]
    assert rows["label"].to_list() == ["AML", "ALL", "AML", "ALL"]
    assert "blood__survival_days" not in rows.columns


def test_build__sidecar_tells_columns_exclusions_and_shares(ward, build):
    """What a column is must not be guessed from its name."""
    ward.admit("nolabel", None)

    about = build()

    assert about["rows"] == 4
    assert about["excluded"] == {"no label": ["nolabel"]}
    assert about["performed_share"] == {"blood": 0.75, "marrow": 0.75}
    assert about["columns"]["blood__count"] == {
        "view": "blood", "modality": "blood", "feature": "count", "unit": "1",
        "description": "cells", "known": "at_index", "kind": "scalar",
        "dtype": "Int64",
    }  # fmt: skip
    assert about["columns"]["blood__profile"]["fill"] is None
    assert about["guards"]["same"]["expression_unit"] == "counts"


def test_build__interrupted_leaves_nothing(build, builder, monkeypatch):
    """A folder without a sidecar, or with half a Parquet file, would be taken for a frame."""

    def killed(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(json, "dumps", _after(2, json.dumps, killed))
    with pytest.raises(KeyboardInterrupt):
        build()

    assert list(builder.folder.iterdir()) == []
    monkeypatch.undo()
    assert read_sidecar(builder.folder, build()["frame_id"])["rows"] == 4


def _after(calls, work, then):
    """Do the work until the given call."""
    done = iter(range(calls - 1))

    def step(*arguments, **options):
        return (work if next(done, None) is not None else then)(*arguments, **options)

    return step


def test_build__refuses_mixed_expression_units(ward, build):
    """Counts and logarithms in one column: the unit is the strongest feature."""
    ward.measure(MARROW, "P2", created=1, expression_unit="log2")

    with pytest.raises(
        StudyError,
        match=r"cannot mix values of expression_unit; expected one, got counts \(2 rows of marrow\)"
        r", log2 \(1 rows of marrow\)",
    ):
        build()


def test_build__refuses_mixed_genome_builds_across_tables(ward, build):
    """Positions of two builds do not name the same base."""
    ward.measure(BLOOD, "P0", created=1, reference_build="GRCh37", profile=[])
    ward.measure(MARROW, "P1", created=1, reference_build="GRCh38", expression_unit="counts")

    with pytest.raises(StudyError, match=r"reference_build.*GRCh37.*of blood.*GRCh38.*of marrow"):
        build()
    assert build(modalities=("blood",))["guards"]["same"]["reference_build"] == "GRCh37"


def test_build__a_superseded_row_mixes_nothing(ward, build):
    """Only rows that are in the frame count: a corrected unit is not mixed any more."""
    ward.measure(MARROW, "P2", created=1, expression_unit="log2")
    ward.measure(MARROW, "P2", created=2, expression_unit="counts")

    assert build()["guards"]["same"]["expression_unit"] == "counts"


def test_build__refuses_a_modality_that_is_not_there(build):
    with pytest.raises(StudyError, match="no features of modality ct; expected some of blood"):
        build(modalities=("ct",))


def test_read_sidecar__names_the_frames_that_are_there(build, builder):
    frame_id = build()["frame_id"]

    with pytest.raises(StudyError, match=f"no frame nothing; expected one of {frame_id}"):
        read_sidecar(builder.folder, "nothing")


def test_build__leaves_out_columns_of_which_nobody_has_a_value(ward, build, builder):
    """A cohort of lung cancers has no blasts: such columns read like findings that nobody has."""
    about = build()
    fusion = "blood__BCR_u3a__u3a_ABL1"
    assert list(about["empty_columns"]) == [fusion]
    assert fusion not in about["columns"]
    assert fusion not in read_frame(builder.folder / about["frame_id"]).rows.columns
    # That a column went empty is drift, which only a frame to score can show.
    assert fusion in build(everyone=True)["columns"]

    ward.measure(BLOOD, "P0", created=1, profile=[1.0, 0.0], BCR_u3a__u3a_ABL1=False)
    assert build()["empty_columns"] == {}


def test_check_frame__knows_empty_columns_that_the_study_excludes(ward, builder):
    """A typing error in an exclusion is refused; a column that is empty here is none."""
    exclude = {"blood__BCR_u3a__u3a_ABL1": "tells the class", "blood__cuont": "misspelt"}
    study = ward.study(features={"service": "toy", "exclude": exclude})
    frame = read_frame(builder.folder / builder.build(FrameRequest(study))["frame_id"])

    with pytest.raises(StudyError, match="columns that the frame does not have; got blood__cuont"):
        check_frame(frame, study)


@pytest.mark.parametrize("choice", ["kept", "nulled"])
def test_build__says_what_is_implausible(ward, build, builder, choice):
    """A gene at 295,000,030 FPKM is a defect of the table; whether a model sees it is declared."""
    for number in range(4, 24):
        ward.admit(f"P{number}", "AML" if number % 2 else "ALL")
        wrong = number == 9
        profile = [2.0, 295_000_030.0 if wrong else 14.0 + number]
        ward.measure(BLOOD, f"P{number}", count=10**9 if wrong else number, profile=profile)

    about = build(guards={"implausible": choice})

    told = {row["column"]: row for row in about["guards"]["implausible"]}
    assert set(told) == {"blood__count", "blood__profile[NPM1]"}
    gene = told["blood__profile[NPM1]"]
    assert (gene["values"], gene["farthest"]) == (1, pytest.approx(295_000_030.0))
    assert (
        "implausible, " + choice + ": blood__count, median 13",
        "1 as far as 1,000,000,000",
    ) in (facts(about))
    rows = read_frame(builder.folder / about["frame_id"]).rows.filter(patient_id="P9")
    assert rows["blood__count"].item() == (10**9 if choice == "kept" else None)
    first, second = rows["blood__profile"].item()
    assert first == 2.0
    assert np.isnan(second) == (choice == "nulled")


def test_rebuild__gives_the_bytes_whatever_became_of_the_tables(ward, build, builder):
    """A column taken out, one added, one of another type: what was published must stand."""
    built = builder.folder / build()["frame_id"]
    table = ward.lake.path("blood")
    rows = ward.lake.scan("blood").drop("count").with_columns(pl.col("blood_performed").cast(str))
    rows.with_columns(cells=pl.lit(1)).collect().write_delta(
        table, mode="overwrite", delta_write_options={"schema_mode": "overwrite"}
    )

    again = rebuild(ward.lake, builder.folder, built.name)

    assert "count" not in ward.lake.scan("blood").collect_schema()
    for file in built.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes()


def test_rebuild__of_a_frame_that_names_no_types_reads_them_from_its_rows(build, builder):
    """Version 0.1.0 wrote no types, and sorted the columns of the sidecar."""
    built = builder.folder / build()["frame_id"]
    about = json.loads((built / SIDECAR).read_text())
    for column in about["columns"].values():
        del column["dtype"]
    (built / SIDECAR).write_text(json.dumps(about, sort_keys=True))

    again = rebuild(builder.lake, builder.folder, built.name)
    assert (again / FRAME).read_bytes() == (built / FRAME).read_bytes()

    (built / FRAME).unlink()
    with pytest.raises(StudyError, match=r"version 0\.1\.0 .* recorded neither types nor order"):
        rebuild(builder.lake, builder.folder, built.name)


def test_rebuild__says_that_the_code_gives_another_frame(build, builder):
    """Silently other values under the old id."""
    built = builder.folder / build()["frame_id"]
    about = json.loads((built / SIDECAR).read_text())
    (built / SIDECAR).write_text(json.dumps({**about, "content_sha256": "other"}))

    with pytest.raises(StudyError, match="today's code gives another frame"):
        rebuild(builder.lake, builder.folder, built.name)


def test_rebuild__outlives_a_setting_that_studies_got_later(build, builder, monkeypatch):
    """Each new key of study files would make every older frame impossible to build again."""
    dump = Study.model_dump

    def of_an_older_version(study, **how):
        return {key: value for key, value in dump(study, **how).items() if key != "promotion"}

    monkeypatch.setattr(Study, "model_dump", of_an_older_version)
    frame_id = build()["frame_id"]
    monkeypatch.undo()

    assert build()["frame_id"] != frame_id
    again = rebuild(builder.lake, builder.folder, frame_id)
    assert read_frame(again).rows.equals(read_frame(builder.folder / frame_id).rows)


def test_build__of_everyone_holds_patients_without_label(ward, build, builder):
    """They are to be scored; a model must not get them for a training frame by mistake."""
    ward.admit("P4", None)
    ward.measure(BLOOD, "P4", count=4, profile=[1.0, 4.0])
    everyone, labelled = build(everyone=True), build()

    assert everyone["frame_id"] != labelled["frame_id"]
    assert everyone["guards"]["verdict"] == "not asked"
    frame = read_frame(builder.folder / everyone["frame_id"])
    assert frame.sidecar.everyone
    assert dict(frame.rows.select("patient_id", "label").iter_rows())["P4"] is None
    assert "P4" not in read_frame(builder.folder / labelled["frame_id"]).rows["patient_id"]
    again = rebuild(builder.lake, builder.folder, everyone["frame_id"])
    assert read_frame(again).rows.equals(frame.rows)


def test_build__of_everyone_leaves_out_who_was_measured_otherwise(ward, build):
    """One patient with TPM among counts would cost all others their scores."""
    ward.admit("P4", None)
    ward.measure(MARROW, "P4", expression_unit="tpm")

    assert build(everyone=True)["excluded"] == {"measured with another expression_unit": ["P4"]}
    ward.lake.append("labels", ward.lake.scan("labels").head(1).collect().with_columns(
        patient_id=pl.lit("P4")
    ))  # fmt: skip
    with pytest.raises(StudyError, match="cannot mix values of expression_unit"):
        build()


def test_build__of_everyone_takes_the_more_frequent_way(ward, build):
    """The majority would be left out for the first patient of a new unit, or the other way."""
    for number in range(4, 9):
        ward.admit(f"P{number}", None)
        ward.measure(MARROW, f"P{number}", expression_unit="tpm")

    found = build(everyone=True)["excluded"]
    assert found == {"measured with another expression_unit": ["P0", "P1", "P2"]}


@pytest.mark.parametrize("choice", ["exclude", "missing"])
def test_build__does_with_an_unreadable_file_what_the_study_says(ward, build, builder, choice):
    """The file was replaced by a broken one: the value of the old one is not true any more."""
    ward.admit("P4", "ALL")
    ward.attempt("P1", "blood", Outcome.QUARANTINED)

    about = build(population={"unreadable": choice})
    rows = read_frame(builder.folder / about["frame_id"]).rows.filter(patient_id="P1")

    if choice == "exclude":
        assert about["excluded"] == {"a file of the patient is in quarantine": ["P1"]}
        assert (len(rows), about["unread"]) == (0, {})
        return
    assert (about["excluded"], about["unread"]) == ({}, {"blood": ["P1"]})
    assert ("blood could not be read, taken as missing", "1") in facts(about)
    assert rows["blood__blood_performed"].item() is False
    assert rows["blood__count"].item() is None
    assert rows["blood__profile"].item() is None
    assert rows["marrow__marrow_performed"].item()
