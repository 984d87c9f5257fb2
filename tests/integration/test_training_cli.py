"""Commands on frames: what a person and a program get from expand and diff."""

import json
import shutil

import polars as pl
import pytest
from typer.testing import CliRunner

from assets.genomics.fusion.reader import CONTRACT as FUSION
from assets.training.frames import FrameRequest
from feature_repo.client import apply
from orchestration.cli.main import app
from orchestration.frames import frame_builder
from orchestration.settings import Settings


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    home = tmp_path_factory.mktemp("registry") / "home"
    apply(home)
    return home


@pytest.fixture
def frames(hospital, registry):
    """Ids of a frame and of the one after a correction, and their home."""
    shutil.copytree(registry, hospital.home, dirs_exist_ok=True)
    hospital.lake.extend_dictionary("gene", pl.Series(["ABL1", "BCR"]))
    for number in range(4):
        hospital.admit(f"P{number}", ("AML", "ALL")[number % 2])
        hospital.measure(FUSION, f"P{number}", fusion_count=1, fusion_partner=[1.0, number])
    builder = frame_builder(Settings(home=hospital.home), hospital.lake, hospital.study())
    request = FrameRequest(hospital.study(), None, ("fusion",))
    first = builder.build(request)["frame_id"]
    hospital.measure(FUSION, "P0", created=1, fusion_count=5, source_sha256="repaired",
                     fusion_partner=[1.0, 0.0])  # fmt: skip
    return first, builder.build(request)["frame_id"], str(hospital.home)


def run(*arguments, code=0):
    """Last line of a command as JSON."""
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout.splitlines()[-1])


def test_frame_expand__writes_named_columns(frames, tmp_path):
    frame_id, _, home = frames
    out = tmp_path / "expanded.parquet"

    said = run("frame", "expand", frame_id, "--out", str(out), "--home", home)

    rows = pl.read_parquet(out)
    assert (said["rows"], said["columns"]) == (4, len(rows.columns) - 3)
    assert rows["fusion_features__fusion_partner_u5b_BCR_u5d_"].to_list() == [0.0, 1.0, 2.0, 3.0]


def test_frame_diff__names_the_correction(frames):
    first, second, home = frames

    said = run("frame", "diff", first, second, "--home", home)

    assert said["patients_added"] == {}
    assert said["values"] == [
        {
            "patient_id": "P0", "column": "fusion_features__fusion_count", "before": "1",
            "after": "5", "why": "correction",
        }
    ]  # fmt: skip


def test_frame_diff__is_a_table_for_people(frames):
    first, second, home = frames

    result = CliRunner().invoke(app, ["frame", "diff", first, second, "--home", home])

    assert "correction" in result.stdout


def test_frame_expand__unknown_frame_is_one_sentence(frames):
    _, _, home = frames

    said = run("frame", "expand", "nothing", "--out", "x.parquet", "--home", home, code=1)

    assert said["error"] == "StudyError"
    assert "there is no frame nothing; expected one of" in said["message"]
