"""The main job as Dagster sees it: a partition is green while its patient's rows stand."""

from pathlib import Path

import dagster as dg
import pytest

from assets.store.catalog import services
from orchestration.definitions import pipeline_of
from orchestration.pipeline import Pipeline, open_instance
from orchestration.progress import Progress

TABLE = dg.AssetKey("fusion_features")
GOOD = "#FusionName\tJunctionReadCount\tSpanningFragCount\nBCR--ABL1\t7\t3\n"


class Zone:
    """Landing zone with one fusion file per patient, and the home that reads it."""

    def __init__(self, root: Path, pipeline: Pipeline) -> None:
        self.root = root
        self.pipeline = pipeline

    def lay(self, **contents: str) -> None:
        """Patient -> content of the file; whoever is not named leaves the samplesheet."""
        rows = ["patient_id,modality,path,collected_on,status,reference_build,tool,site"]
        for patient, content in contents.items():
            (self.root / f"{patient}.tsv").write_text(content)
            rows.append(f"{patient},fusion,{patient}.tsv,2024-01-01,performed,,STAR-Fusion,")
        (self.root / "samplesheet.csv").write_text("\n".join(rows) + "\n")

    def run(self) -> tuple[int, int, int]:
        """Patients computed, quarantined and left alone."""
        report = self.pipeline.run(only="genomics")
        return report.ok, report.quarantined, report.skipped

    def green(self) -> set[str]:
        return self.pipeline.instance.get_materialized_partitions(TABLE)


@pytest.fixture
def zone(settings, tmp_path):
    """Three good patients, computed."""
    landing = tmp_path / "landing"
    landing.mkdir()
    settings = settings.model_copy(update={"landing": str(landing)})
    with open_instance(settings.dagster_dir) as instance:
        zone = Zone(landing, pipeline_of(settings, instance, Progress()))
        zone.lay(P1=GOOD, P2=GOOD, P3=GOOD)
        assert zone.run() == (3, 0, 0)
        yield zone


def test_run__takes_the_green_from_a_patient_whose_new_file_is_bad(zone):
    """The page would call a patient done whose file nobody could read."""
    assert zone.green() == {"P1", "P2", "P3"}
    zone.lay(P1=GOOD, P2="", P3=GOOD)
    assert zone.run() == (0, 1, 2)
    assert zone.green() == {"P1", "P3"}
    zone.lay(P1=GOOD, P2=GOOD, P3=GOOD)
    assert zone.run() == (1, 0, 2)
    assert zone.green() == {"P1", "P2", "P3"}


def test_run__takes_back_the_rows_of_a_patient_who_left_the_sheet(zone):
    """Consent was withdrawn: no new frame may hold the patient; then all is quiet again."""
    zone.lay(P1=GOOD, P2=GOOD)
    assert zone.run() == (0, 0, 2)
    rows = zone.pipeline.lake.scan("fusion_features").filter(withdrawn=True).collect()
    assert rows["patient_id"].to_list() == ["P3"]
    versions = zone.pipeline.lake.version("fusion_features")
    assert zone.run() == (0, 0, 2)
    assert zone.pipeline.lake.version("fusion_features") == versions


def test_run__registers_again_once_a_feature_service_is_new(zone, monkeypatch):
    """A home made before a service would be told that there is none, until a table changed."""
    pipeline = zone.pipeline

    def runs():
        pipeline.run(only="store")
        return pipeline.instance.get_runs_count()

    first = runs()
    assert runs() == first
    with monkeypatch.context() as new:
        more = {**services(), "leukemia_subtype_v9": ("snv",)}
        new.setattr("orchestration.inputs.services", lambda: more)
        assert runs() == first + 1
        assert runs() == first + 1
    # Back at what was registered long ago, which is not what is registered now.
    assert runs() == first + 2
