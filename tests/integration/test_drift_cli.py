"""The command drift: on tables, on frames of a home, and what it refuses."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from assets.genomics.fusion.reader import CONTRACT as FUSION
from assets.training.frames import FrameRequest
from assets.training.sidecar import read_sidecar
from feature_repo.client import apply
from ml.drift.reading import read_any_frame
from orchestration.cli.main import app
from orchestration.frames import frame_builder
from orchestration.settings import Settings


def run(*arguments, code=0):
    """Last line of the command as JSON."""
    result = CliRunner().invoke(app, ["drift", *map(str, arguments), "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout.splitlines()[-1])


def table(patients, seed, *, shift=0.0):
    """Rows as ``frame build --out`` writes them; the new tool version shifts the fractions."""
    rng = np.random.default_rng(seed)
    new = rng.random(patients) < (0.5 if shift else 0)
    vaf = rng.beta(5, 5, (patients, 3)) + shift * new[:, np.newaxis]
    return pl.DataFrame(
        {
            "patient_id": [f"P{seed}_{number}" for number in range(patients)],
            "label": rng.choice(["AML", "ALL"], patients),
            "tool_version": np.where(new, "4.6", "4.2"),
            "snv_features__snv_performed": [True] * patients,
            **{f"snv_features__vaf_{i}": vaf[:, i] for i in range(3)},
            "snv_features__TP53_u5b_R175H_u5d_": rng.random(patients) < 0.1,
            "expression_features__expression": rng.normal(size=(patients, 8)).astype(np.float32),
        }
    )


@pytest.fixture
def tables(tmp_path):
    """Reference, new patients of the same kind, and new patients with a new tool version."""
    made = {"old": table(900, 1), "same": table(120, 2), "shifted": table(120, 3, shift=0.2)}
    for name, rows in made.items():
        rows.write_parquet(tmp_path / f"{name}.parquet")
    return {name: tmp_path / f"{name}.parquet" for name in made}


def test_drift__names_columns_and_cause_of_two_tables(tables, tmp_path):
    """The contract of the JSON line; drift is an answer, not an error."""
    said = run(
        "--reference", tables["old"], "--current", tables["shifted"], "--out", tmp_path / "page"
    )

    assert said["drifted"] is True
    assert set(said["columns"]) == {f"snv_features__vaf_{i}" for i in range(3)}
    assert said["cause"].startswith("new tool_version 4.6")
    assert said["modalities"]["expression"]["drifted"] == 0
    assert (said["reference_patients"], said["current_patients"]) == (900, 120)
    assert set(said["files"]) == {"html", "drift_modalities", "drift_effects"}


def test_drift__says_nothing_of_patients_alike(tables):
    said = run("--reference", tables["old"], "--current", tables["same"])

    assert (said["drifted"], said["columns"], said["cause"]) == (False, [], None)
    assert said["files"] == {}


def test_drift__is_a_table_for_people(tables):
    arguments = ["drift", "--reference", str(tables["old"]), "--current", str(tables["shifted"])]

    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 0
    assert "likely cause: new tool_version 4.6" in result.stdout


def test_drift__help_has_examples():
    result = CliRunner().invoke(app, ["drift", "--help"])

    assert "oncoframe drift --reference" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "there is no such frame"), (b"not a table", "the file is not Parquet")],
)
def test_drift__refuses_what_is_no_frame(tables, tmp_path, content, message):
    bad = tmp_path / "bad.parquet"
    if content is not None:
        bad.write_bytes(content)

    said = run("--reference", tables["old"], "--current", bad, code=1)

    assert said["error"] == "StudyError"
    assert message in said["message"]


def test_read_any_frame__infers_what_columns_are(tables):
    """A table without a sidecar: names and types say what is an assay, a vector, a setting."""
    columns = read_any_frame(tables["old"]).sidecar.columns

    assert {name: (c.modality, c.kind) for name, c in columns.items()} == {
        "tool_version": ("patient", "setting"),
        "snv_features__snv_performed": ("snv", "performed"),
        **{f"snv_features__vaf_{i}": ("snv", "scalar") for i in range(3)},
        "snv_features__TP53_u5b_R175H_u5d_": ("snv", "scalar"),
        "expression_features__expression": ("expression", "block"),
    }


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    home = tmp_path_factory.mktemp("registry") / "home"
    apply(home)
    return home


def test_drift__takes_the_cause_from_the_lake(hospital, registry):
    """Sites are in no frame; the lake knows who measured the patients a frame was made of."""
    shutil.copytree(registry, hospital.home, dirs_exist_ok=True)
    hospital.lake.extend_dictionary("gene", pl.Series(["ABL1", "BCR"]))

    def admit(numbers, day, site, fusions):
        for number in numbers:
            patient = f"P{number:03d}"
            hospital.admit(patient, ("AML", "ALL")[number % 2], created=day, index=day)
            hospital.measure(
                FUSION, patient, event=day, created=day, site=site, fusion_count=fusions(number),
                fusion_partner=[1.0, 0.0],
            )  # fmt: skip

    admit(range(60), 0, "Basel", lambda number: number % 4)
    builder = frame_builder(Settings(home=hospital.home), hospital.lake, hospital.study())
    request = FrameRequest(hospital.study(), None, ("fusion",))
    old = builder.build(request)["frame_id"]
    admit(range(60, 80), 9, "Basel", lambda number: number % 4)
    admit(range(80, 105), 9, "Ulm", lambda number: 5 + number % 4)
    new = builder.build(request)["frame_id"]

    said = run("--reference", old, "--current", new, "--home", hospital.home)

    assert (said["reference_patients"], said["current_patients"]) == (60, 45)
    assert said["columns"] == ["fusion_features__fusion_count"]
    assert said["cause"].startswith("new site Ulm (0% -> 56%)")
    sidecar = read_sidecar(hospital.home / "frames", new)
    assert sidecar["rows"] == 105
