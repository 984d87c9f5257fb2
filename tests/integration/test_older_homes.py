"""Homes that released versions wrote: used as they are, migrated, or refused in a sentence.

``released/<version>.json`` holds the tables of a version, and the study and columns of a frame, as
its code said them. A home is written from it without that code: rows, frame and id by hand.
"""

import json
import runpy
import shutil
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

import oncoframe as of
from oncoframe import migration
from oncoframe.audit import AuditLog
from oncoframe.errors import HomeError
from oncoframe.hashing import content_hash
from oncoframe.lake import Lake
from oncoframe.modalities import feature_contracts
from orchestration.cli.main import app
from orchestration.settings import Settings

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).with_name("released")
WRITE = runpy.run_path(str(FOLDER / "write.py"))
#: What ``released/write.py`` would write of this version is tried, too.
RELEASED = {
    **{file.stem: file.read_text() for file in sorted(FOLDER.glob("*.json"))},
    "this version": WRITE["released"](),
}
OPENED = datetime(2024, 1, 1, tzinfo=UTC)
TYPES = {
    str(dtype): dtype
    for dtype in (
        pl.Boolean(), pl.Int32(), pl.Int64(), pl.Float32(), pl.Float64(), pl.String(),
        pl.Datetime("us", "UTC"), pl.List(pl.Float32()),
    )
}  # fmt: skip
#: Patient -> label, haemoglobin, fusions.
PATIENTS = {
    "P0": ("AML", 8.5, 1), "P1": ("ALL", 9.5, 0), "P2": ("AML", 7.25, 2),
    "P3": ("ALL", None, 0), "P4": ("AML", 10.0, None), "P5": ("ALL", 11.0, 3),
}  # fmt: skip
RENAME = '''"""Call haemoglobin by its short name."""

TABLES = {"clinical_features": lambda rows: rows.rename({"hemoglobin_g_per_dl": "hb_g_per_dl"})}
'''
RETYPE_AND_REMOVE = '''"""Count fusions in 64 bits; forget the FAB subtype."""

import polars as pl

TABLES = {
    "fusion_features": lambda rows: rows.cast({"fusion_count": pl.Int64()}),
    "clinical_features": lambda rows: rows.drop("fab_subtype"),
}
'''


class Writer:
    """A home as a released version wrote it."""

    def __init__(self, home: Path, released: dict) -> None:
        self.home, self.released = home, released

    def rows(self, table: str, *rows: dict) -> None:
        """Append rows in the columns of then; what is not given is null, or says nothing."""
        schema = {name: TYPES[dtype] for name, dtype in self.released["tables"][table].items()}
        common = {
            "event_timestamp": OPENED, "created_timestamp": OPENED, "source_sha256": "0",
            "code_version": "1", "run_id": "r", "withdrawn": False,
        }  # fmt: skip
        given = [{**common, **row} for row in rows]
        frame = pl.DataFrame(
            [{name: row.get(name) for name in schema} for row in given], schema=schema
        )
        write_deltalake(self.home / "lake" / table, frame.to_arrow(), mode="append")

    def frame(self, versions: dict[str, int], genes: list[str]) -> str:
        """Write the frame of fusions and clinical data as of the opening; returns its id."""
        said = self.released
        members = pl.DataFrame(
            [(patient, OPENED, label) for patient, (label, _, _) in PATIENTS.items()],
            schema={"patient_id": pl.String, "index_timestamp": pl.Datetime("us", "UTC"),
                    "label": pl.String}, orient="row",
        )  # fmt: skip
        cells = {
            "clinical_features__clinical_performed": [True] * 6,
            "fusion_features__fusion_performed": [n is not None for _, _, n in PATIENTS.values()],
            "clinical_features__fab_subtype": ["M1"] * 6,
            "clinical_features__hemoglobin_g_per_dl": [hb for _, hb, _ in PATIENTS.values()],
            "fusion_features__fusion_count": [n for _, _, n in PATIENTS.values()],
            "fusion_features__fusion_partner": [
                None if n is None else [float(n), 0.0] for _, _, n in PATIENTS.values()
            ],
        }
        columns = [
            pl.Series(
                name,
                cells.get(name, [None] * 6),
                dtype=TYPES[said["tables"][about["view"]][name.split("__", 1)[1]]],
            )
            for name, about in said["columns"].items()
        ]
        rows = pl.concat([members, pl.DataFrame(columns)], how="horizontal")
        identity = {
            "study": said["study"], "as_of": OPENED.isoformat(),
            "entities": content_hash(members), "versions": versions,
            "views": said["views_sha256"], "code_version": said["code_version"],
        }  # fmt: skip
        frame_id = sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        sidecar = {
            "frame_id": frame_id, "study": said["study"]["name"],
            "study_definition": said["study"], "as_of": identity["as_of"],
            "label_name": said["study"]["label"]["name"],
            "label_version": said["study"]["label"]["version"],
            "modalities": ["fusion", "clinical"], "rows": 6, "columns": said["columns"],
            "performed_share": {"fusion": 5 / 6, "clinical": 1.0}, "excluded": {},
            "guards": {"verdict": "passed", "suspected_leakage": [], "same": {}},
            "everyone": False, "versions": versions, "views_sha256": said["views_sha256"],
            "content_sha256": content_hash(rows), "code_version": said["code_version"],
        }  # fmt: skip
        folder = self.home / "frames" / frame_id
        folder.mkdir(parents=True)
        rows.write_parquet(folder / "frame.parquet", compression="zstd", statistics=False)
        sites = [(patient, "A") for patient in PATIENTS]
        pl.DataFrame(sites, schema=["patient_id", "site"], orient="row").write_parquet(
            folder / "sites.parquet"
        )
        pl.DataFrame(
            {"position": [0, 1], "name": genes}, schema={"position": pl.Int32, "name": pl.String}
        ).write_parquet(folder / "dictionary_gene.parquet")
        # Version 0.1.0 named no types, and sorted the columns.
        is_sorted = not all("dtype" in about for about in said["columns"].values())
        (folder / "frame.json").write_text(json.dumps(sidecar, indent=2, sort_keys=is_sorted))
        return frame_id


def write_home(home: Path, released: dict) -> str:
    """Home of a version: six patients, a frame, then a correction; returns the frame's id."""
    writer = Writer(home, released)
    writer.rows("dictionary_gene", *({"position": n, "name": g} for n, g in enumerate("AB")))
    who = released["study"]["label"]
    for patient, (label, hb, fusions) in PATIENTS.items():
        named = {"label_name": who["name"], "label_version": who["version"], "label_value": label}
        writer.rows("labels", {"patient_id": patient, **named})
        writer.rows("cohort", {"patient_id": patient, "consent": "yes", "site": "A"})
        clinical = {"clinical_performed": True, "hemoglobin_g_per_dl": hb, "fab_subtype": "M1"}
        writer.rows("clinical_features", {"patient_id": patient, **clinical})
        partner = None if fusions is None else [float(fusions), 0.0]
        found = {"fusion_count": fusions, "fusion_partner": partner}
        performed = {"fusion_performed": fusions is not None}
        writer.rows("fusion_features", {"patient_id": patient, **performed, **found})
        times = {"first_seen": OPENED, "last_seen": OPENED}
        writer.rows(
            "ledger", {"patient_id": patient, "modality": "fusion", "outcome": "ok", **times}
        )
    writer.rows("ct_features", {"patient_id": "P0", "ct_performed": True})
    tables = ("fusion_features", "clinical_features", "dictionary_gene", "cohort", "labels",
              "ledger")  # fmt: skip
    frame_id = writer.frame({table: 0 if "dict" in table else 5 for table in tables}, ["A", "B"])
    correction = {"patient_id": "P1", "clinical_performed": True, "hemoglobin_g_per_dl": 12.0}
    later = OPENED + timedelta(days=1)
    writer.rows("clinical_features", {**correction, "created_timestamp": later})
    return frame_id


@pytest.fixture(scope="module", params=RELEASED.values(), ids=list(RELEASED))
def older(request, tmp_path_factory):
    """Home of each released version, which tests copy; with the id of its frame."""
    home = tmp_path_factory.mktemp("released") / "home"
    return home, write_home(home, json.loads(request.param))


@pytest.fixture
def home(older, tmp_path):
    return shutil.copytree(older[0], tmp_path / "home")


@pytest.fixture
def frame_id(older):
    return older[1]


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write migrations of a version to come, which this version then has."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    monkeypatch.setattr(migration, "FOLDER", folder)

    def write(*texts: str) -> None:
        for number, text in enumerate(texts, start=1):
            (folder / f"{number:04d}_change.py").write_text(text)

    return write


def oncoframe(home, *arguments):
    """Answer of a command that must succeed."""
    ended = CliRunner().invoke(app, [*arguments, "--home", str(home), "--json"])
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout.splitlines()[-1])


def refused(home):
    ended = CliRunner().invoke(app, ["status", "--home", str(home)])
    assert ended.exit_code == 1
    [sentence] = ended.stderr.splitlines()
    return sentence


def bytes_of(folder):
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.*")}


def rebuilt(home, frame_id, tmp_path):
    out = tmp_path / "again.parquet"
    oncoframe(home, "frame", "rebuild", frame_id, "--out", str(out))
    return out.read_bytes() == (home / "frames" / frame_id / "frame.parquet").read_bytes()


def test_older_home__holds_every_column_as_this_version_wants_it(home):
    """A column renamed, retyped or taken out of a contract, without a migration that says so."""
    oncoframe(home, "migrate")
    lake = Lake(home / "lake")
    for contract in feature_contracts():
        if lake.exists(contract.table):
            rows = lake.scan_features(contract)
            orphans = set(lake.scan(contract.table).collect_schema()) - set(rows.collect_schema())
            assert orphans == set()


def test_older_home__is_used_as_it_is(home, frame_id, tmp_path):
    """New columns are null in old rows; what was built then is built again, byte for byte."""
    assert oncoframe(home, "migrate", "--dry-run")["tables"] == []
    assert oncoframe(home, "status")["patients"] == 6
    assert rebuilt(home, frame_id, tmp_path)

    now = of.Home(home)
    [ct] = [contract for contract in feature_contracts() if contract.modality == "ct"]
    assert now.lake.scan_features(ct).select("roi").collect()["roi"].to_list() == [None]
    assert now.explain("P1", "hemoglobin_g_per_dl").value == 12.0
    at_opening = now.explain("P1", "hemoglobin_g_per_dl", known_by=OPENED)
    assert at_opening.value == 9.5


def test_migrate__renames_retypes_and_removes_without_losing_what_was_built(
    home, frame_id, written, tmp_path
):
    written(RENAME, RETYPE_AND_REMOVE)
    before = bytes_of(home)
    assert refused(home) == (
        f"HomeError: {home}: an older version of OncoFrame wrote this home; got columns of before "
        "in clinical_features, fusion_features. See what would change: oncoframe migrate "
        "--dry-run. Then: oncoframe migrate."
    )

    dry = oncoframe(home, "migrate", "--dry-run")
    assert {one["table"]: one["removed"] for one in dry["tables"]} == {
        "clinical_features": ["hemoglobin_g_per_dl", "fab_subtype"], "fusion_features": [],
    }  # fmt: skip
    assert bytes_of(home) == before

    done = oncoframe(home, "migrate")
    assert done["tables"] == dry["tables"]
    lake = Lake(home / "lake")
    clinical = lake.scan("clinical_features").sort("patient_id", "created_timestamp").collect()
    assert "fab_subtype" not in clinical.columns
    values = [8.5, 9.5, 12.0, 7.25, None, 10.0, 11.0]
    assert clinical["hb_g_per_dl"].to_list() == values
    fusions = lake.scan("fusion_features").sort("patient_id").collect()["fusion_count"]
    assert (fusions.dtype, fusions.to_list()) == (pl.Int64, [1, 0, 2, 0, None, 3])
    field = next(f for f in DeltaTable(lake.path("fusion_features")).schema().fields
                 if f.name == "fusion_count")  # fmt: skip
    assert field.metadata["comment"] == "different fusions"
    assert rebuilt(home, frame_id, tmp_path)
    [line] = [e for e in AuditLog(home / "audit/log.jsonl").entries() if e.action == "migrated"]
    assert line.details["tables"] == {"clinical_features": 7, "fusion_features": 6}

    backup = Lake(Path(done["backup"]) / "lake")
    assert backup.tables() == ["clinical_features", "fusion_features"]
    for table in backup.tables():
        copied = bytes_of(backup.path(table))
        assert copied == {
            file.relative_to(f"lake/{table}"): content
            for file, content in before.items()
            if file.is_relative_to(f"lake/{table}")
        }
    assert oncoframe(home, "migrate")["tables"] == []
    assert oncoframe(home, "status")["patients"] == 6


def test_migrate__takes_up_what_was_interrupted(home, written, monkeypatch):
    """A second renaming of what was renamed would find no such column, for ever."""
    written(RENAME, RETYPE_AND_REMOVE)
    write = migration.write_deltalake

    def killed(path, *rows, **how):
        if path.name == "fusion_features":
            raise KeyboardInterrupt
        write(path, *rows, **how)

    monkeypatch.setattr(migration, "write_deltalake", killed)
    with pytest.raises(KeyboardInterrupt):
        migration.migrate(home, now=OPENED)
    monkeypatch.setattr(migration, "write_deltalake", write)

    assert [one.table for one in migration.plan(home)] == ["fusion_features"]
    migration.migrate(home, now=OPENED + timedelta(seconds=1))
    assert migration.plan(home) == []
    assert "hb_g_per_dl" in Lake(home / "lake").scan("clinical_features").collect_schema()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('rows.cast({"fab_subtype": __import__("polars").Int64()})', "cannot be applied"),
        ('rows.rename({"no_such": "column"})', "cannot be applied"),
        ("rows.head(3)", "loses rows or makes some up; expected 7 rows, got 3"),
    ],
)
def test_migrate__changes_nothing_if_a_migration_does_not_fit(home, written, change, said):
    """Half a renaming, or a value cut on the way; and what Polars says repeats the values."""
    written(f'"""A mistake."""\n\nTABLES = {{"clinical_features": lambda rows: {change}}}\n')
    before = bytes_of(home)

    ended = CliRunner().invoke(app, ["migrate", "--home", str(home)])

    assert ended.exit_code == 1
    assert said in ended.stderr
    assert "M1" not in ended.stderr
    assert bytes_of(home) == before


def test_newer_home__is_refused_in_a_sentence(home):
    """Read by an older version, columns that it does not know would look like none."""
    migration.mark(home)
    assert oncoframe(home, "status")["patients"] == 6
    (home / "home.json").write_text('{"oncoframe": "99.1.0", "migration": 12}')

    assert refused(home) == (
        f"HomeError: {home}: a newer version of OncoFrame wrote this home; "
        "expected version 0.1.0 or older, got 99.1.0. Use that version or a newer one."
    )
    with pytest.raises(HomeError, match="a newer version"):
        Settings.load(home=home)
    with pytest.raises(HomeError, match="a newer version"):
        of.Home(home)


def test_new_home__needs_no_migration(tmp_path, written):
    """A home that was never written has nothing of before."""
    written(RENAME)
    assert Settings.load(home=tmp_path / "new").home == tmp_path / "new"
    migration.mark(tmp_path / "new")
    assert json.loads((tmp_path / "new/home.json").read_text())["migration"] == 1
