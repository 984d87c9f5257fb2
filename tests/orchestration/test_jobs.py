"""The sensor of the samplesheet: what a new file does."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from assets.landing.intake import take_in
from assets.landing.samplesheet import read_samplesheet
from orchestration import automation


@pytest.fixture
def instance(tmp_path):
    """Instance on disk: a schedule opens its instance by reference."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as on_disk:
        yield on_disk


@pytest.fixture
def look(settings, lake, instance):
    """Let the sensor look at the landing zone once."""

    def evaluate() -> dg.SkipReason | dg.RunRequest:
        context = dg.build_sensor_context(
            instance=instance, resources={"settings": settings, "lake": lake}
        )
        [sensor, _] = automation.sensors(settings)
        return sensor(context)

    return evaluate


@pytest.fixture
def land(settings):
    """Write a samplesheet whose one row is of this patient; the file is there from the start."""
    folder = Path(settings.landing)
    folder.mkdir()
    (folder / "a.tsv").write_text("a")

    def write(patient_id: str, path: str = "a.tsv") -> None:
        header = "patient_id,modality,path,collected_on,status,reference_build,tool,site"
        row = f"{patient_id},fusion,{path},2024-01-01,performed,,,"
        (folder / "samplesheet.csv").write_text(f"{header}\n{row}\n")

    return write


@pytest.fixture
def take_zone_in(settings, lake):
    """What the run that the sensor asks for does first."""

    def take() -> None:
        take_in(lake, read_samplesheet(settings.landing), now=datetime.now(tz=UTC))

    return take


def test_new_files__says_why_it_does_nothing(look, land):
    """A wrong sheet must neither start a run each minute nor fail the sensor."""
    assert "there is no samplesheet" in look().skip_message
    land("P1", "none.tsv")
    assert "row 2: column path names" in look().skip_message


def test_new_files__requests_a_run_once_per_change(look, land, take_zone_in):
    """One key per state of the zone: a second look before the run must not start a second one."""
    land("P1")
    assert look().run_key == look().run_key
    take_zone_in()
    assert "did not change" in look().skip_message


def test_new_files__requests_a_run_when_a_sheet_is_put_back(look, land, take_zone_in):
    """Dagster drops a run key it has seen: the zone would never be taken in again."""
    keys = set()
    for patient_id in ("P1", "P2", "P1", "P2"):
        land(patient_id)
        keys.add(look().run_key)
        take_zone_in()
    assert len(keys) == 4
