"""docs/extending.md: a center's own column and modality, made as it stands there, without a fork.

The home is there before the column: its old rows and frames have to outlive it.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import polars as pl
import pytest

from orchestration.settings import PROJECT

pytestmark = pytest.mark.slow

GUIDE = (PROJECT / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"(?ms)^## (A .*?):.*?\n(.*?)(?=^## |\Z)", GUIDE))
_FILE = re.compile(r"(?ms)Write\s+`([\w./]+)`:\n\n```\w+\n(.*?)^```")
_LABS = re.search(r"(?ms)^```csv\n(.*?)^```", GUIDE)[1]
PATIENTS = ("P1", "P2", "P3", "P4")
STUDY = """\
name: by_methylation
title: Class by methylation
label: {name: who, version: "1", min_patients_per_class: 2}
clocks: {index: diagnosis}
features: {service: methylation_v1}
modality_sets: {methylation: [methylation, clinical]}
recipes: [prototypes]
cross_validation: {folds: 2, repeats: 1, seed: 1}
"""
#: Frame of the study and what the home says of one value, asked in a process that has the package.
FRAME = """
import json, sys
import oncoframe as of
home = of.Home(sys.argv[1])
frame = home.frame(sys.argv[2])
late = home.lake.scan("clinical_features").collect()
print(json.dumps({
    "id": frame.id,
    "rows": frame.rows.drop("index_timestamp").to_dicts(),
    "clinical_rows": len(late),
    "view": [f.name for f in home.feature_store().get_feature_view("clinical_features").features],
}))
"""
LDH = "clinical_features__ldh_max_u_per_l"


def write(section: str, folder: Path) -> None:
    """Files of a section of the guide."""
    for name, text in _FILE.findall(SECTIONS[section]):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder of installed packages with the one of the guide, as an installer leaves it."""
    folder = tmp_path_factory.mktemp("site")
    write("A modality", folder)
    (folder / "oncoframe_methylation" / "__init__.py").write_text("")
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    about = folder / "oncoframe_methylation-1.0.dist-info"
    about.mkdir()
    said = {"Metadata-Version": "2.1", "Name": project["name"], "Version": project["version"]}
    (about / "METADATA").write_text("".join(f"{key}: {word}\n" for key, word in said.items()))
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {module}\n" for name, module in found.items())
        for group, found in project["entry-points"].items()
    ]
    (about / "entry_points.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def landing(tmp_path_factory):
    """Four patients with methylation and clinical tables, laboratory values among them."""
    folder = tmp_path_factory.mktemp("landing")
    sheet = ["patient_id,modality,path,collected_on,status,reference_build,tool,site"]
    for number, patient in enumerate(PATIENTS):
        file = folder / f"{patient}.csv"
        file.write_text(f"probe,beta\ncg1,0.{number}\ncg2,0.5\n")
        sheet.append(f"{patient},methylation,{file.name},2024-01-05,performed,,epic,A")
    (folder / "samplesheet.csv").write_text("\n".join(sheet) + "\n")
    clinical = folder / "clinical"
    clinical.mkdir()
    (clinical / "patients.csv").write_text(
        "patient_id,index_date,ldh_u_per_l\n"
        + "".join(f"{patient},2024-01-05,200\n" for patient in PATIENTS)
    )
    labels = [f"{patient},who,{'AB'[n % 2]},1,2024-01-05\n" for n, patient in enumerate(PATIENTS)]
    (clinical / "diagnoses.csv").write_text(
        "patient_id,label_name,label_value,label_version,known_on\n" + "".join(labels)
    )
    (clinical / "labs.csv").write_text(_LABS)
    return folder


@pytest.fixture(scope="module")
def call(site, oncoframe):
    """Command that must succeed, in an environment with the package of the guide."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site))

        def run(home, *arguments):
            answer = oncoframe(home, *arguments, "--json")
            assert answer.code == 0, answer.stderr
            return answer.json

        yield run


def frame_of(home, site):
    study = home.parent / "by_methylation.yaml"
    study.write_text(STUDY)
    asked = subprocess.run(
        [sys.executable, "-c", FRAME, home, study],
        env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    return json.loads(asked.stdout.splitlines()[-1])


def test_guide__adds_a_modality_and_a_column_without_a_fork(call, landing, site, tmp_path_factory):
    home = tmp_path_factory.mktemp("center") / "home"
    extracted = call(home, "extract", "methylation", landing / "P2.csv")
    assert extracted["features"]["methylation_mean_beta"] == pytest.approx(0.3)
    assert call(home, "run", "--landing", landing)["ok"] == 4
    before = frame_of(home, site)
    assert [row["methylation_features__methylation_mean_beta"] for row in before["rows"]] == (
        pytest.approx([0.25, 0.3, 0.35, 0.4])
    )
    assert LDH not in before["rows"][0]
    assert before["clinical_rows"] == 4

    write("A clinical column", home / "clinical")
    call(home, "run")

    after = frame_of(home, site)
    assert [row[LDH] for row in after["rows"]] == [940.0, 205.0, None, None]
    # Those without a value are not written again.
    assert after["clinical_rows"] == 6
    assert "ldh_max_u_per_l" in after["view"]
    told = call(home, "explain", "P1", "ldh_max_u_per_l")
    assert (told["value"], told["unit"]) == (940.0, "U/L")
    out = home.parent / "again.parquet"
    call(home, "frame", "rebuild", before["id"], "--out", out)
    assert out.read_bytes() == (home / "frames" / before["id"] / "frame.parquet").read_bytes()
    assert LDH not in pl.read_parquet(out).columns

    labs = landing / "clinical" / "labs.csv"
    labs.write_text(_LABS.replace("205", "2050000"))
    refused = subprocess.run(
        [Path(sys.executable).with_name("oncoframe"), "run", "--home", home],
        env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "values_as_declared_ldh_course (1 row: ldh_max_u_per_l)" in refused.stderr
