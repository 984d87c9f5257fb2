"""Driver: every patient ends alone, nothing is computed twice, nothing is written twice."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from assets.genomics.fusion import modality as fusion_modality
from assets.landing import intake
from assets.landing.samplesheet import read_samplesheet
from assets.simulate.landing_zone import repair, simulate
from oncoframe import ledger
from oncoframe.contracts import Contract, Modality
from oncoframe.hashing import content_hash
from oncoframe.lake import Lake
from oncoframe.ledger import Outcome
from oncoframe.modalities import assays, spec
from oncoframe.point_in_time import latest_rows
from orchestration.patients.driver import Driver, PatientOutcome
from orchestration.settings import PROJECT, Settings

FUSION = spec(Modality.FUSION).contract
EXPRESSION = spec(Modality.EXPRESSION).contract
#: What two undisturbed runs over the same files may differ in.
VOLATILE = ("created_timestamp", "run_id")


def fusions(*names: str) -> str:
    """STAR-Fusion table with these fusions, ten reads each."""
    calls = "".join(f"{name}\t7\t3\n" for name in names)
    return f"#FusionName\tJunctionReadCount\tSpanningFragCount\n{calls}"


class Zone:
    """Landing zone and home of one test: lay files, take them in, run the driver over them."""

    def __init__(self, root: Path, lake: Lake, settings: Settings) -> None:
        self.root = root
        self.lake = lake
        self.settings = settings
        self.rows: dict[tuple[str, str, str], str] = {}
        self.has_samples = False
        root.mkdir()

    def put(
        self,
        patient: str,
        content: str | None = None,
        *,
        modality: str = "fusion",
        date: str = "2024-01-01",
        path: str | None = None,
        status: str = "performed",
        about: str = ",STAR-Fusion,",
    ) -> None:
        """Lay or replace one file and its row of the samplesheet."""
        name = path or f"{patient}.{modality}.{date}.tsv"
        if content is not None:
            (self.root / name).write_text(content)
        row = f"{patient},{modality},{name},{date},{status},{about}\n"
        self.rows[patient, modality, date] = row

    def take_in(self) -> pl.DataFrame:
        header = "patient_id,modality,path,collected_on,status,reference_build,tool,site"
        header += ",sample\n" if self.has_samples else "\n"
        (self.root / "samplesheet.csv").write_text(header + "".join(self.rows.values()))
        sheet = read_samplesheet(str(self.root))
        return intake.take_in(self.lake, sheet, now=datetime.now(tz=UTC))

    def start(self, *patients: str, retry: bool = False, **changes) -> Iterator[PatientOutcome]:
        """Run over some patients, by default all, without an intake."""
        driver = Driver(self.lake, self.settings.model_copy(update=changes))
        everybody = intake.landed(self.lake)["patient_id"].unique().sort().to_list()
        return driver.run(Modality.FUSION, patients or everybody, run_id="run", retry=retry)

    def run(self, *patients: str, retry: bool = False, **changes) -> dict[str, PatientOutcome]:
        """Take in and run to the end: outcome by patient."""
        self.take_in()
        outcomes = list(self.start(*patients, retry=retry, **changes))
        by_patient = {outcome.entry.patient_id: outcome for outcome in outcomes}
        assert len(by_patient) == len(outcomes)
        return by_patient

    def table(self, contract: Contract = FUSION) -> pl.DataFrame:
        """Every row ever written."""
        return self.lake.scan_features(contract).collect()

    def newest(self) -> dict[str, dict[str, object]]:
        """Patient -> newest row; for patients with one specimen."""
        rows = latest_rows(self.table().lazy(), by=("patient_id", "event_timestamp")).collect()
        return {row["patient_id"]: row for row in rows.iter_rows(named=True)}

    def standing(self) -> list[tuple[object, ...]]:
        """Patient and event time of every row that was not taken back."""
        rows = latest_rows(self.table().lazy(), by=("patient_id", "event_timestamp"))
        return rows.select("patient_id", "event_timestamp").sort(pl.all()).collect().rows()

    def versions(self) -> dict[str, int | None]:
        return {table: self.lake.version(table) for table in self.lake.tables()}

    def ledger(self) -> dict[str, dict[str, object]]:
        return {row["patient_id"]: row for row in ledger.current(self.lake).rows(named=True)}


@pytest.fixture
def zone(tmp_path, lake, settings):
    """Empty landing zone."""
    return Zone(tmp_path / "landing", lake, settings)


def outcomes(run: dict[str, PatientOutcome]) -> dict[str, str]:
    return {patient: str(outcome.entry.outcome) for patient, outcome in run.items()}


def test_run__tells_good_bad_negative_failed_and_absent_apart(zone):
    """Five different things; each mistaken for another is a wrong diagnosis or a lost patient."""
    zone.put("good", fusions("BCR--ABL1"))
    zone.put("negative", fusions())
    zone.put("bad", "")
    zone.put("failed", status="failed", path="")
    zone.put("refrained", status="not_performed", path="")
    zone.put("other", "gene\tcounts\nTP53\t1\n", modality="expression")
    run = zone.run()

    assert outcomes(run) == {
        "good": "ok",
        "negative": "ok",
        "bad": "quarantined",
        "failed": "ok",
        "refrained": "not_performed",
        "other": "not_performed",
    }
    rows = zone.newest()
    seen = {p: (row["fusion_performed"], row["BCR_u3a__u3a_ABL1"]) for p, row in rows.items()}
    assert seen == {"good": (True, True), "negative": (True, False), "failed": (False, None)}
    bad = zone.ledger()["bad"]
    assert (bad["error"], bad["attempts"]) == ("EmptyFile", 1)
    assert str(zone.root / "bad.fusion.2024-01-01.tsv") in bad["message"]
    assert zone.ledger().keys() == run.keys()


def test_run__writes_times_of_specimen_and_of_learning(zone):
    """The point-in-time join needs both; swapped, every value comes from the future."""
    before = datetime.now(tz=UTC)
    zone.put("P1", fusions())
    zone.run()
    row = zone.newest()["P1"]
    assert row["event_timestamp"] == datetime(2024, 1, 1, tzinfo=UTC)
    assert before < row["created_timestamp"] < datetime.now(tz=UTC)
    assert (row["run_id"], row["tool"], row["code_version"]) == (
        "run",
        "STAR-Fusion",
        FUSION.code_version,
    )


def test_run__of_an_unchanged_zone_writes_nothing(zone):
    """A nightly run over thousands must cost seconds and leave no version behind."""
    zone.put("good", fusions("BCR--ABL1"))
    zone.put("bad", "")
    zone.put("refrained", status="not_performed", path="")
    first = zone.run()
    versions = zone.versions()
    again = zone.run()
    assert zone.versions() == versions
    assert {p: outcome.entry for p, outcome in again.items()} == {
        p: outcome.entry for p, outcome in first.items()
    }
    assert all(outcome.reads == () for outcome in again.values())


def test_run__computes_exactly_the_patient_whose_file_was_replaced(zone):
    """The other patients' rows must not move, and the old row must stay for old frames."""
    for patient in ("P1", "P2", "P3"):
        zone.put(patient, fusions("BCR--ABL1"))
    zone.run()
    zone.put("P2", fusions("PML--RARA"))
    again = zone.run()
    assert [patient for patient, outcome in again.items() if outcome.reads] == ["P2"]
    assert zone.table()["patient_id"].sort().to_list() == ["P1", "P2", "P2", "P3"]
    row = zone.newest()["P2"]
    assert (row["BCR_u3a__u3a_ABL1"], row["PML_u3a__u3a_RARA"]) == (False, True)


def test_run__follows_a_file_that_is_put_back(zone):
    """A, B, A: that A was seen before must not leave B standing."""
    for name in ("BCR--ABL1", "PML--RARA", "BCR--ABL1"):
        zone.put("P1", fusions(name))
        zone.run()
    assert len(zone.table()) == 3
    assert zone.newest()["P1"]["BCR_u3a__u3a_ABL1"] is True
    assert zone.run()["P1"].reads == ()


@pytest.mark.parametrize(
    ("changes", "column", "value"),
    [
        ({"about": "GRCh38,STAR-Fusion,"}, "reference_build", "GRCh38"),
        ({"about": ",Arriba,"}, "tool", "Arriba"),
        ({"about": ",STAR-Fusion,Ulm"}, "site", "Ulm"),
        ({"status": "failed", "path": ""}, "fusion_performed", False),
    ],
)
def test_run__follows_a_corrected_samplesheet(zone, changes, column, value):
    """A corrected build or site that stays uncorrected in the rows mixes what must not mix."""
    zone.put("P1", fusions("BCR--ABL1"))
    zone.put("P2", fusions())
    zone.run()
    zone.put("P1", **changes)
    again = zone.run()
    assert [patient for patient, outcome in again.items() if outcome.reads] == ["P1"]
    assert zone.newest()["P1"][column] == value
    assert zone.run()["P1"].reads == ()


def test_run__does_not_compute_a_file_that_only_moved(zone):
    """A landing zone on another disk has other paths and the same content."""
    zone.put("P1", fusions("BCR--ABL1"))
    zone.run()
    zone.put("P1", fusions("BCR--ABL1"), path="moved.tsv")
    assert zone.run()["P1"].reads == ()
    assert len(zone.table()) == 1
    assert zone.ledger()["P1"]["file"] == str(zone.root / "moved.tsv")
    versions = zone.versions()
    zone.run()
    assert zone.versions() == versions


def test_run__computes_everybody_after_a_change_of_code(zone, monkeypatch):
    """Rows of two meanings in one column are worse than none."""
    zone.put("P1", fusions("BCR--ABL1"))
    zone.put("P2", "")
    zone.run()
    newer = replace(spec(Modality.FUSION), contract=replace(FUSION, code_version="next"))
    monkeypatch.setattr(fusion_modality, "MODALITY", newer)
    again = zone.run()
    assert outcomes(again) == {"P1": "ok", "P2": "quarantined"}
    assert zone.newest()["P1"]["code_version"] == "next"
    assert again["P2"].entry.attempts == 1
    assert zone.run()["P1"].reads == ()


def test_run__leaves_the_quarantined_to_retry(zone):
    """Each night's run would read every bad file again; retry does, because somebody asked."""
    zone.put("bad", "")
    zone.put("good", fusions())
    first = zone.run()["bad"].entry
    assert zone.run()["bad"].entry == first
    again = zone.run(retry=True)
    assert again["bad"].entry.attempts == 2
    assert again["bad"].entry.first_seen == first.first_seen
    assert again["bad"].entry.last_seen > first.last_seen
    assert again["good"].reads == ()


def test_run__takes_a_repaired_file_without_being_asked(zone):
    """The laboratory replaces the file and expects the patient in the morning."""
    zone.put("P1", "")
    zone.run()
    zone.put("P1", fusions("BCR--ABL1"))
    entry = zone.run()["P1"].entry
    assert (entry.outcome, entry.error, entry.message) == (Outcome.OK, None, None)
    assert entry.attempts == 1
    assert Driver(zone.lake, zone.settings).failed(Modality.FUSION) == []
    assert len(zone.lake.scan(ledger.TABLE).collect()) == 2


def test_run__tries_again_what_could_not_be_reached(zone):
    """Storage away is no quarantine: the next run takes the patient without being asked."""
    zone.put("away", path="s3://bucket/away.tsv")
    zone.put("good", fusions())
    tries = zone.settings.retry_tries
    first = zone.run()["away"].entry
    assert (first.outcome, first.error, first.attempts) == ("retry_later", "Unavailable", tries)
    assert zone.run()["away"].entry.attempts == 2 * tries
    [failed] = Driver(zone.lake, zone.settings).failed(Modality.FUSION)
    assert failed.patient_id == "away"


def test_run__quarantines_a_file_that_vanished_after_intake(zone):
    """The hash is known, the file is gone: one patient, and its path in the ledger."""
    zone.put("P1", fusions())
    zone.put("P2", fusions())
    zone.take_in()
    (zone.root / "P1.fusion.2024-01-01.tsv").unlink()
    run = {outcome.entry.patient_id: outcome.entry for outcome in zone.start()}
    assert run["P1"].error == "FileMissing"
    assert run["P2"].outcome == Outcome.OK


def test_run__stores_the_hash_of_the_bytes_it_read(zone):
    """A file replaced between intake and reading must not carry the old file's hash."""
    zone.put("P1", fusions("BCR--ABL1"))
    zone.take_in()
    zone.put("P1", fusions("PML--RARA"))
    list(zone.start())
    assert zone.newest()["P1"]["PML_u3a__u3a_RARA"] is True
    assert zone.run()["P1"].reads == ()
    assert len(zone.table()) == 1


def test_run__writes_a_row_per_specimen_and_reads_only_the_new(zone):
    """The relapse adds a row beside the diagnosis, and costs one file."""
    zone.put("P1", fusions("BCR--ABL1"), date="2023-01-01")
    zone.run()
    zone.put("P1", fusions("PML--RARA"), date="2024-01-01")
    zone.put("P1", fusions(), date="2024-02-01")
    [*reads] = zone.run()["P1"].reads
    assert [read.file.collected_on.month for read in reads] == [1, 2]
    table = zone.table().sort("event_timestamp")
    assert table["fusion_count"].to_list() == [1, 1, 0]


def test_run__keeps_the_good_specimen_of_a_patient_with_a_bad_one(zone):
    """A bad relapse file would cost the diagnosis; the ledger says that something is missing."""
    zone.put("P1", fusions("BCR--ABL1"), date="2023-01-01")
    zone.put("P1", "", date="2024-01-01")
    zone.put("P1", fusions("PML--RARA"), date="2025-01-01")
    assert outcomes(zone.run()) == {"P1": "quarantined"}
    assert "P1.fusion.2024-01-01.tsv" in zone.ledger()["P1"]["message"]
    assert sorted(zone.table()["event_timestamp"].dt.year()) == [2023, 2025]

    zone.put("P1", fusions("PML--RARA"), date="2024-01-01")
    run = zone.run()
    assert outcomes(run) == {"P1": "ok"}
    assert [read.file.collected_on.year for read in run["P1"].reads] == [2024]
    assert sorted(zone.table()["event_timestamp"].dt.year()) == [2023, 2024, 2025]


def test_run__takes_back_the_row_of_an_assay_that_left(zone):
    """The row of a specimen that was another patient's would go on to be trained on."""
    zone.put("P1", fusions("BCR--ABL1"), date="2023-01-01")
    zone.put("P1", fusions("PML--RARA"), date="2024-01-01")
    zone.put("P2", fusions("BCR--ABL1"))
    zone.run()
    before = zone.table()

    del zone.rows["P1", "fusion", "2024-01-01"]
    run = zone.run()
    assert outcomes(run) == {"P1": "ok", "P2": "ok"}
    assert run["P1"].reads == ()
    assert [when.year for _, when, *_ in zone.standing()] == [2023, 2024]
    assert [patient for patient, *_ in zone.standing()] == ["P1", "P2"]
    assert len(zone.table()) == len(before) + 1
    versions = zone.versions()
    zone.run()
    assert zone.versions() == versions

    zone.put("P1", fusions("PML--RARA"), date="2024-01-01")
    assert len(zone.run()["P1"].reads) == 1
    assert [patient for patient, *_ in zone.standing()] == ["P1", "P1", "P2"]


@pytest.mark.parametrize(
    "change", [{"date": "2024-06-01"}, {"status": "not_performed", "path": ""}]
)
def test_run__takes_back_the_row_of_an_assay_that_the_sheet_corrects(zone, change):
    """Another date would leave two specimens where there is one; a status, one where none is."""
    zone.put("P1", fusions("BCR--ABL1"), path="P1.tsv")
    zone.run()
    zone.rows.clear()
    zone.put("P1", **{"path": "P1.tsv", **change})
    zone.run()
    dates = [when.month for _, when, *_ in zone.standing()]
    assert dates == ([6] if "date" in change else [])
    assert zone.ledger()["P1"]["outcome"] == ("ok" if "date" in change else "not_performed")


def test_run__takes_back_all_of_a_patient_who_left_the_sheet(zone):
    """Consent was withdrawn: nothing of the patient may enter a new frame."""
    zone.put("P1", fusions("BCR--ABL1"))
    zone.put("P2", fusions("BCR--ABL1"))
    zone.run()
    del zone.rows["P1", "fusion", "2024-01-01"]
    assert outcomes(zone.run("P1", "P2")) == {"P1": "not_performed", "P2": "ok"}
    assert [patient for patient, *_ in zone.standing()] == ["P2"]


def test_run__refuses_alone_who_breaks_the_contract(zone, monkeypatch):
    """One extractor's odd value must not hold back the batch it is committed with."""
    for number in range(4):
        zone.put(f"P{number}", fusions() if number == 2 else fusions("BCR--ABL1"))
    # The caller did not tell the frame, so the count is null, but for the patient without calls.
    odd = [
        replace(feature, dtype=pl.String()) if feature.name == "fusion_in_frame_count" else feature
        for feature in FUSION.features
    ]
    stricter = replace(FUSION, features=tuple(odd))
    reader = replace(spec(Modality.FUSION), contract=stricter)
    monkeypatch.setattr(fusion_modality, "MODALITY", reader)
    run = zone.run()
    assert outcomes(run) == {"P0": "ok", "P1": "ok", "P2": "quarantined", "P3": "ok"}
    assert run["P2"].entry.error == "ContractViolation"
    assert run["P2"].reads == ()
    assert sorted(zone.table(stricter)["patient_id"]) == ["P0", "P1", "P3"]


def test_run__yields_what_is_already_safe(zone):
    """Dagster marks a patient as done on yield: a kill right after must lose nothing."""
    for number in range(6):
        zone.put(f"P{number}", fusions())
    zone.take_in()
    for outcome in zone.start(commit_patients=2):
        assert outcome.entry.patient_id in set(zone.table()["patient_id"])
        assert outcome.entry.patient_id in zone.ledger()


def test_run__goes_on_where_it_was_stopped(zone):
    """Cancelled after the first commit: the rest is computed, the first are not."""
    for number in range(6):
        zone.put(f"P{number}", fusions("BCR--ABL1"))
    zone.take_in()
    stopped = zone.start(commit_patients=2)
    finished = {next(stopped).entry.patient_id for _ in range(2)}
    stopped.close()
    assert set(zone.table()["patient_id"]) == finished
    again = zone.run()
    assert {p for p, outcome in again.items() if not outcome.reads} == finished
    assert zone.table()["patient_id"].n_unique() == len(zone.table()) == 6


def test_run__after_a_kill_between_rows_and_ledger_writes_no_second_row(zone):
    """The table is asked, not the ledger; the ledger is made whole."""
    zone.put("P1", fusions())
    zone.put("P2", fusions())
    zone.run()
    shutil.rmtree(zone.lake.path(ledger.TABLE))
    again = zone.run()
    assert outcomes(again) == {"P1": "ok", "P2": "ok"}
    assert all(outcome.reads == () for outcome in again.values())
    assert len(zone.table()) == 2
    assert zone.ledger().keys() == {"P1", "P2"}


def test_run__of_some_patients_leaves_the_others(zone):
    """A backfill of a range must not touch who is outside it."""
    for number in range(4):
        zone.put(f"P{number}", fusions())
    assert outcomes(zone.run("P1", "P3")) == {"P1": "ok", "P3": "ok"}
    assert sorted(zone.table()["patient_id"]) == ["P1", "P3"]


def test_run__beside_another_over_the_same_patients_writes_no_row_twice(zone):
    """The nightly run and somebody's backfill meet: both rows would double every statistic."""
    for number in range(30):
        zone.put(f"P{number:02}", fusions("BCR--ABL1"))
    zone.take_in()
    with ThreadPoolExecutor(2) as runs:
        both = [runs.submit(lambda: list(zone.start(workers=1))) for _ in range(2)]
        seen = [{o.entry.patient_id: str(o.entry.outcome) for o in run.result()} for run in both]
    assert seen[0] == seen[1]
    assert set(seen[0].values()) == {"ok"}
    assert zone.table()["patient_id"].n_unique() == len(zone.table()) == 30


def test_run__beside_another_modality_loses_nothing(zone):
    """Both extend the same dictionary of genes: a position given twice would mix two genes."""
    genes = "".join(f"GENE{number}\t{number}\n" for number in range(50))
    for number in range(20):
        zone.put(f"P{number:02}", fusions(f"A{number}--B{number}"))
        zone.put(f"P{number:02}", f"gene\tcounts\n{genes}N{number}\t7\n", modality="expression")
    patients = zone.take_in()["patient_id"].unique().to_list()
    driver = Driver(zone.lake, zone.settings.model_copy(update={"workers": 1}))
    with ThreadPoolExecutor(2) as runs:
        for modality in (Modality.FUSION, Modality.EXPRESSION):
            runs.submit(lambda m=modality: list(driver.run(m, patients, run_id=m)))

    dictionary = zone.lake.dictionary("gene")
    assert dictionary["position"].to_list() == list(range(50 + 20 + 40))
    place = dict(dictionary.select("name", "position").iter_rows())
    for patient, vector in zone.table().select("patient_id", "fusion_partner").iter_rows():
        number = int(patient[1:])
        hits = [position for position, value in enumerate(vector) if value]
        assert sorted(hits) == sorted([place[f"A{number}"], place[f"B{number}"]])
    for patient, vector in zone.table(EXPRESSION).select("patient_id", "expression").iter_rows():
        assert vector[place[f"N{int(patient[1:])}"]] == 7
        assert vector[place["GENE49"]] == 49


_RUN = """
import sys
from pathlib import Path
from oncoframe.contracts import Modality
from oncoframe.lake import Lake
from assets.landing import intake
from orchestration.patients.driver import Driver
from orchestration.settings import Settings

def main():
    settings = Settings(home=sys.argv[1], workers=1, commit_patients=2)
    lake = Lake(settings.lake_dir)
    patients = intake.landed(lake)["patient_id"].unique().sort().to_list()
    for outcome in Driver(lake, settings).run(Modality.FUSION, patients, run_id="run"):
        print(outcome.entry.patient_id, flush=True)

if __name__ == "__main__":
    main()
"""


def test_run__after_kill_9_ends_in_the_lake_of_an_undisturbed_run(zone, tmp_path):
    """Killed after a commit, in the middle of the next: same rows, none twice."""
    for number in range(12):
        content = "" if number == 7 else fusions(*["BCR--ABL1", "PML--RARA"][: number % 3])
        zone.put(f"P{number:02}", content)
    zone.take_in()
    script = tmp_path / "run.py"
    script.write_text(_RUN)
    command = [sys.executable, script, zone.settings.home]
    with subprocess.Popen(
        command,
        env={"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as run:
        finished = {run.stdout.readline().strip() for _ in range(2)}
        run.send_signal(signal.SIGKILL)
    again = zone.run()
    assert finished <= {p for p, outcome in again.items() if not outcome.reads}
    table = zone.table()
    assert table["patient_id"].n_unique() == len(table) == 11

    calm = Zone(tmp_path / "calm", Lake(tmp_path / "calm_lake"), zone.settings)
    shutil.copytree(zone.root, calm.root, dirs_exist_ok=True)
    calm.rows = zone.rows
    calm.run()
    assert content_hash(named(zone)) == content_hash(named(calm))


def named(zone: Zone) -> pl.DataFrame:
    """Rows with vectors by gene: positions depend on the order in which patients ended."""
    genes = zone.lake.dictionary("gene")["name"].to_list()
    rows = zone.table().drop(VOLATILE)
    partners = [
        sorted(gene for gene, value in zip(genes, vector, strict=False) if value)
        for vector in rows["fusion_partner"]
    ]
    return rows.with_columns(fusion_partner=pl.Series(partners, dtype=pl.List(pl.String)))


def test_run__puts_each_corrupt_file_in_quarantine_with_its_class(lake, settings, tmp_path):
    """Six ways to be corrupt, one of them deadly: six patients wait, nobody else notices."""
    simulated = simulate(tmp_path / "landing", patients=24, seed=1, corrupt=6)
    driver = Driver(lake, settings.model_copy(update={"worker_memory_mb": 1024}))

    def run_all(*, retry: bool = False) -> tuple[dict[str, str], int]:
        """Patient -> error, and how many patients and modalities were read."""
        sheet = read_samplesheet(str(simulated.landing))
        patients = intake.take_in(lake, sheet, now=datetime.now(tz=UTC))["patient_id"].unique()
        done = [
            outcome
            for modality in assays()
            for outcome in driver.run(modality, patients.to_list(), run_id="run", retry=retry)
        ]
        bad = {o.entry.patient_id: o.entry.error for o in done if o.entry.error is not None}
        return bad, sum(bool(outcome.reads) for outcome in done)

    bad, read = run_all()
    assert bad == simulated.corrupt
    assert len(set(bad.values())) == 6
    assert run_all() == (bad, 0)

    repair(simulated.landing)
    assert run_all(retry=True) == ({}, 6)
    assert read == ledger.current(lake).filter(outcome=Outcome.OK).height - 6


def test_run__reads_the_sample_that_the_sheet_names_and_another_one_anew(zone):
    """Two patients share the table of a batch; who has which column is in the sheet alone."""
    jaffa = "sample,fusion genes,spanning pairs,spanning reads,inframe,classification\n"
    batch = jaffa + "".join(
        f"{sample},{pair},9,9,TRUE,HighConfidence\n"
        for sample, pair in (("S1", "PML:RARA"), ("S2", "BCR:ABL1"))
    )
    zone.put("P1", batch, path="batch.csv")
    zone.put("P3", fusions("PML--RARA"))
    outcomes = zone.run()
    assert (outcomes["P1"].entry.error, outcomes["P3"].entry.outcome) == (
        "AmbiguousSample", Outcome.OK,
    )  # fmt: skip
    plain = zone.newest()["P3"]
    assert plain["source_sha256"] == intake.landed(zone.lake).filter(patient_id="P3")["sha256"][0]

    zone.has_samples = True
    zone.put("P1", path="batch.csv", about=",JAFFA,,S1")
    zone.put("P2", path="batch.csv", about=",JAFFA,,S2")
    zone.put("P3", about=",STAR-Fusion,,")
    zone.run()
    rows = zone.newest()
    pml, bcr = (next(f.column for f in FUSION.features if f.name == name)
                for name in ("PML::RARA", "BCR::ABL1"))  # fmt: skip
    assert [(rows[p][pml], rows[p][bcr]) for p in ("P1", "P2")] == [(True, False), (False, True)]
    # The empty column is no change of a file that needs none.
    assert rows["P3"] == plain

    zone.put("P1", path="batch.csv", about=",JAFFA,,S2")
    assert zone.run()["P1"].reads
    assert (zone.newest()["P1"][pml], zone.newest()["P1"][bcr]) == (False, True)
    assert not zone.run()["P1"].reads
