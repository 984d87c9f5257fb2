"""The main job as Dagster sees it: a partition is green while its patient's rows stand."""

import shutil
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.store.catalog import services
from oncoframe import facts
from orchestration.definitions import build, pipeline_of
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


def calls(good: int, doubted: int = 0) -> str:
    """Fusion table with calls of enough and of too few reads."""
    lines = [f"A{i}--B{i}\t7\t3\n" for i in range(good)]
    lines += [f"C{i}--D{i}\t0\t1\n" for i in range(doubted)]
    return f"#FusionName\tJunctionReadCount\tSpanningFragCount\n{''.join(lines)}"


def outliers(zone) -> dg.AssetCheckEvaluation:
    """What the weekly check says of the fusions."""
    job = build(zone.pipeline.settings).resolve_job_def("outliers")
    done = job.execute_in_process(instance=zone.pipeline.instance)
    return next(
        one
        for one in done.get_asset_check_evaluations()
        if (one.asset_key, one.check_name) == (TABLE, "nobody_stands_out")
    )


def test_outliers__names_who_stands_out_and_by_what(zone):
    """A file of which nearly nothing is used looks like any other row of the table."""
    cohort = {f"P{i}": calls(18 + i % 3, 2) for i in range(24)}
    zone.lay(**cohort)
    zone.run()
    clean = outliers(zone)
    assert clean.passed
    assert clean.metadata["patients_judged"].value == {"genes": 24, "share_used": 24}

    zone.lay(**(cohort | {"P7": calls(1, 90)}))
    zone.run()
    found = outliers(zone)
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert found.description == "Patients with a file that stands out: 1"
    _, _, *rows = found.metadata["standouts"].value.splitlines()
    assert any(row.startswith("| P7 | share_used | 0.01099 |") for row in rows), rows
    assert {row.split(" | ")[0] for row in rows} == {"| P7"}


def test_outliers__says_that_there_are_too_few_to_judge(zone):
    """Three patients have no distribution; silence would be an all-clear."""
    found = outliers(zone)
    assert found.passed
    assert found.description == "too few patients to judge (20 needed): genes of 3"


def test_outliers__judges_a_home_of_before_without_facts(zone):
    """Rows of an older version have no facts; they are not judged, and nothing breaks."""
    shutil.rmtree(zone.pipeline.lake.path(facts.TABLE))
    assert outliers(zone).description == "No facts were recorded yet"
    zone.lay(P1=calls(3), P2=GOOD, P3=GOOD)
    zone.run()
    assert outliers(zone).metadata["too_few_to_judge"].value == {"genes": 1}


def test_plausibility__names_the_column_that_holds_what_cannot_be(zone):
    """A count of fusions beyond all others is a defect of a file, and would be a strong feature."""
    lake = zone.pipeline.lake

    def check():
        job = build(zone.pipeline.settings).resolve_job_def("outliers")
        done = job.execute_in_process(instance=zone.pipeline.instance)
        return next(
            one
            for one in done.get_asset_check_evaluations()
            if (one.asset_key, one.check_name) == (TABLE, "values_are_plausible")
        )

    zone.lay(**{f"P{i}": calls(10 + i % 5) for i in range(24)})
    zone.run()
    assert check().passed

    rows = lake.scan("fusion_features").filter(patient_id="P7").collect()
    wrong = rows.with_columns(
        fusion_count=pl.lit(10**9, rows.schema["fusion_count"]),
        created_timestamp=pl.col("created_timestamp") + pl.duration(seconds=1),
    )
    lake.append("fusion_features", wrong)
    found = check()
    assert not found.passed
    assert found.description == "Columns with implausible values: 1"
    assert "| fusion_count | 1 | 1,000,000,000 | 12 |" in found.metadata["implausible"].value


def test_materialization__shows_the_facts_of_the_file(zone):
    """Who looks at a patient's partition sees who made the file, and how much of it counts."""
    event = zone.pipeline.instance.fetch_materializations(
        dg.AssetRecordsFilter(TABLE, asset_partitions=["P1"]), limit=1
    )
    metadata = event.records[0].asset_materialization.metadata
    assert metadata["share_used"].value == 1.0
    assert metadata["genes"].value == 2.0
    shown = metadata["facts"].value.splitlines()
    assert "| Callers | STAR-Fusion |" in shown
    assert "| Reference build | GRCh38 (assumed) |" in shown
    assert "| Records used | 1 of 1 (100%) |" in shown


def test_run__leaves_the_weekly_check_to_its_schedule(zone):
    """Every chunk of a backfill would judge the whole cohort again."""
    names = ("nobody_stands_out", "values_are_plausible")
    keys = [dg.AssetCheckKey(TABLE, name) for name in names]
    storage = zone.pipeline.instance.event_log_storage
    assert storage.get_latest_asset_check_execution_by_key(keys) == {}
