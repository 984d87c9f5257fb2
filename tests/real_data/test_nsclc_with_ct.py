"""NSCLC Radiogenomics with scans: three modalities in one frame, and one scan that is broken."""

import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from assets.landing.samplesheet import SAMPLESHEET
from assets.simulate.phantom.dicom import write_study
from assets.simulate.phantom.image import PhantomShape, make_phantom
from assets.training.sidecar import read_sidecar
from ml.frames.frame import Frame, read_frame
from ml.study.definition import load_study
from ml.training.eligibility import with_assays

pytestmark = pytest.mark.real_data

REAL, SYNTHETIC = 4, 66
STUDY = "nsclc_survival"


def oncoframe(*arguments: object, exit_code: int = 0) -> dict:
    """Last line of a command."""
    done = subprocess.run(
        [Path(sys.executable).with_name("oncoframe"), *map(str, arguments), "--json"],
        capture_output=True, text=True, check=False,
        # A tenth of the features: what is tested is the join.
        env={**os.environ, "ONCOFRAME_CT_SETTINGS": "default107"},
    )  # fmt: skip
    assert done.returncode == exit_code, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def write_scan(landing: Path, real: Path, number: int, patient: str) -> str:
    """Scan of a patient, four real ones first; returns its place in the landing zone."""
    folder = f"ct/{patient}"
    if number < REAL:
        (landing / "ct").mkdir(exist_ok=True)
        (landing / folder).symlink_to(real / "imaging" / "lung_rtstruct" / f"pat_{number + 1}")
        return folder
    shape = PhantomShape(size=(8, 48, 48), spacing_mm=(2.5, 2.5, 4.0), tumour_mm=10 + number / 10)
    write_study(make_phantom(shape, seed=number), landing / folder, kind="seg")
    return folder


@pytest.fixture(scope="module")
def home(real_data, tmp_path_factory):
    """The download with a scan for 70 patients with RNA, of which one cannot be read."""
    folder = tmp_path_factory.mktemp("nsclc")
    landing = folder / "landing"
    oncoframe("import", "nsclc", real_data / "nsclc", "--landing", landing)
    sheet = pl.read_csv(landing / SAMPLESHEET, infer_schema=False)
    sequenced = sheet.filter(status="performed").head(REAL + SYNTHETIC)
    scanned = sequenced.with_columns(
        modality=pl.lit("ct"),
        path=pl.Series(
            write_scan(landing, real_data, number, patient)
            for number, patient in enumerate(sequenced["patient_id"])
        ),
        collected_on=pl.Series(
            str(date.fromisoformat(day) - timedelta(days=1)) for day in sequenced["collected_on"]
        ),
        tool=pl.lit(""),
    )
    pl.concat([sheet, scanned]).write_csv(landing / SAMPLESHEET)
    broken = landing / scanned["path"][-1]
    slices = [file for file in sorted(broken.rglob("*")) if file.is_file()]
    assert slices
    for file in slices:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    ran = oncoframe("run", "--landing", landing, "--home", folder / "home", exit_code=3)
    assert (ran["patients"], ran["quarantined"]) == (211, 1)
    return folder / "home"


@pytest.fixture(scope="module")
def frame(home) -> Frame:
    """The study's frame, by the command line."""
    said = oncoframe("frame", "build", STUDY, "--home", home, "--out", home / "frame.parquet")
    return read_frame(home / "frames" / said["frame_id"])


def test_frame__joins_three_modalities(frame):
    """Everybody with a label is in; a scan of the day before the surgery is known at it."""
    performed = frame.rows.select(
        (pl.col(f"{table}__{assay}_performed")).alias(assay)
        for table, assay in (
            ("clinical_features", "clinical"), ("expression_features", "expression"),
            ("ct_features", "ct"),
        )
    )  # fmt: skip
    assert len(frame.rows) == 180
    assert performed["clinical"].all()
    three = frame.rows.filter(performed["expression"] & performed["ct"])
    assert len(three) == performed["ct"].sum() >= 50
    volume = three["ct_features__original_shape_VoxelVolume"]
    assert volume.null_count() == 0
    assert volume.n_unique() > REAL
    assert with_assays(load_study(STUDY), frame).modality_sets == load_study(STUDY).modality_sets


def test_frame__keeps_the_clinical_row_of_a_patient_whose_scan_is_broken(home, frame):
    """One bad file of 70 took a patient out of every model, also of those that see no scan."""
    [failed] = oncoframe("status", "--failed", "--home", home)["failed"]
    about = read_sidecar(home / "frames", frame.sidecar.frame_id)

    assert failed["modality"] == "ct"
    row = frame.rows.row(by_predicate=pl.col("patient_id") == failed["patient_id"], named=True)
    assert row["clinical_features__age_at_index_years"] is not None
    assert row["expression_features__expression_performed"]
    assert not row["ct_features__ct_performed"]
    assert about["unread"] == {"ct": [failed["patient_id"]]}
    assert failed["patient_id"] not in {who for some in about["excluded"].values() for who in some}


def test_frame__nulls_the_genes_that_cannot_be(frame):
    """295,000,030 FPKM is in the published table; the study declares that no model sees it."""
    found = {row["column"]: row for row in frame.sidecar.guards["implausible"]}
    gene = found["expression_features__expression[MIB1]"]
    assert (gene["values"], gene["farthest"]) == (1, pytest.approx(295_000_030, rel=1e-6))
    place = frame.dictionaries["gene"].index("MIB1")
    values = frame.rows["expression_features__expression"].list.get(place, null_on_oob=True)
    assert values.fill_nan(None).max() < 1000


def test_frame__has_no_columns_of_another_disease(frame):
    """Blasts of a leukaemia are asked of nobody with a lung cancer."""
    assert "clinical_features__blasts_bm_pct" in frame.sidecar.empty_columns
    assert "clinical_features__weight_kg" in frame.sidecar.columns
