"""Frames on a real lake: identity, content, and what is never left behind half made."""

import json

import polars as pl
import pytest

from assets.training.frames import FrameBuilder, FrameRequest
from assets.training.sidecar import FRAME, read_sidecar
from ml.frames.frame import read_frame
from ml.study.definition import Study
from oncoframe.contracts import Block, Contract, Feature, Known
from oncoframe.errors import StudyError

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
    assert about["columns"]["blood__BCR_u3a__u3a_ABL1"] == {
        "view": "blood", "modality": "blood", "feature": "BCR::ABL1", "unit": "1",
        "description": "fusion seen", "known": "at_index", "kind": "scalar",
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


def test_rebuild__says_that_other_views_give_another_frame(ward, build, builder):
    """Silently other columns under the old id."""
    frame_id = build()["frame_id"]
    other = Contract("blood", "blood", "Blood, read anew.", "2", BLOOD.features, BLOOD.blocks)
    changed = FrameBuilder(ward.lake, builder.folder, (other, MARROW), builder.pull)

    with pytest.raises(StudyError, match="today's views or code give another frame"):
        changed.rebuild(frame_id)


def test_rebuild__outlives_a_setting_that_studies_got_later(build, builder, monkeypatch):
    """Each new key of study files would make every older frame impossible to build again."""
    dump = Study.model_dump

    def of_an_older_version(study, **how):
        return {key: value for key, value in dump(study, **how).items() if key != "promotion"}

    monkeypatch.setattr(Study, "model_dump", of_an_older_version)
    frame_id = build()["frame_id"]
    monkeypatch.undo()

    assert build()["frame_id"] != frame_id
    again = builder.rebuild(frame_id)
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
    assert builder.rebuild(everyone["frame_id"]).name.startswith(everyone["frame_id"])


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
