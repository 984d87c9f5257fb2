"""Fixtures of all tests: an empty lake, settings, Dagster instance, object storage, real data.

Nothing here leaves the machine: object storage is moto's server on a loopback port of its own.
"""

import logging
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import cyvcf2
import dagster as dg
import hypothesis
import polars as pl
import pytest

from assets.clinical.publish import COHORT_SCHEMA, LABELS_SCHEMA
from ml.study.definition import Study
from oncoframe import files, ledger
from oncoframe.contracts import PROVENANCE_COLUMNS, Contract
from oncoframe.lake import Lake
from oncoframe.ledger import Entry, Outcome
from orchestration.settings import PROJECT, Settings

# A busy machine makes an example slow, not wrong. What lands the work tries the same examples each
# time; other ones are found at the desk, where somebody can look at them.
hypothesis.settings.register_profile(
    "oncoframe",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("oncoframe")

#: Folder of the public data, unless ``ONCOFRAME_REAL_DATA`` names another.
REAL_DATA = Path(os.environ.get("ONCOFRAME_REAL_DATA", PROJECT.parent / "shared" / "data"))


def _free_port() -> int:
    """Loopback port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


#: Port of object storage: closed, until a test starts the server.
S3_PORT = _free_port()

# Set before any worker process exists: workers inherit the environment of the first one.
os.environ.update(
    {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{S3_PORT}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        # Many developers set it; workers have to get along with it.
        "RUST_BACKTRACE": "1",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }
)


#: Fixtures that start a server or load the platform.
SLOW_FIXTURES = {"definitions", "real_data", "s3_server"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a slow fixture is slow, and so never part of ``make test-fast``."""
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the developer's shell, and no home of theirs, reaches a test."""
    for name in list(os.environ):
        if name.startswith(("ONCOFRAME_", "DAGSTER_HOME", "MLFLOW_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Lake without tables."""
    return Lake(tmp_path / "home" / "lake")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty home: two workers, backoff in milliseconds."""
    return Settings(
        home=tmp_path / "home",
        landing=str(tmp_path / "landing"),
        workers=2,
        chunk_patients=50,
        commit_patients=10,
        patient_timeout_s=20.0,
        retry_wait_s=0.001,
        retry_factor=1.1,
        retry_tries=3,
    )


@pytest.fixture(scope="session")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    """The whole code location, on a home of its own."""
    from orchestration.definitions import build  # noqa: PLC0415  (Feast and dbt: seconds)

    return build(Settings(home=tmp_path_factory.mktemp("code_location")))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Dagster instance that lives as long as the test."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the public data; the test is skipped where there is none."""
    if not (REAL_DATA / "README.md").is_file():
        pytest.skip(f"no real data in {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(scope="session")
def write_bcf() -> Callable[[Path, Path], None]:
    """Write a VCF as BCF, with cyvcf2; its header has to name every contig and key."""

    def write(source: Path, target: Path) -> None:
        with cyvcf2.VCF(str(source)) as vcf:
            writer = cyvcf2.Writer(str(target), vcf, mode="wb")
            for record in vcf:
                writer.write_record(record)
            writer.close()

    return write


@pytest.fixture
def s3_port() -> int:
    """Port on which worker processes look for object storage."""
    return S3_PORT


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """Address of object storage, running on the port that every process of the tests knows."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415  (2 s that few tests need)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=S3_PORT, verbose=False)
    server.start()
    yield os.environ["AWS_ENDPOINT_URL"]
    server.stop()


@dataclass(frozen=True)
class Bucket:
    """A bucket of the test's own; ``root`` is its ``s3://`` address."""

    root: str
    client: Any

    def put(self, key: str, content: bytes = b"hello") -> str:
        """Write an object and return its address."""
        self.client.put_object(Bucket=self.root.removeprefix("s3://"), Key=key, Body=content)
        return f"{self.root}/{key}"


@pytest.fixture
def bucket(s3_server: str) -> Bucket:
    """Empty bucket of object storage."""
    import boto3  # noqa: PLC0415

    name = f"bucket-{uuid4()}"
    place = {"LocationConstraint": os.environ["AWS_DEFAULT_REGION"]}
    client = boto3.client("s3", endpoint_url=s3_server)
    client.create_bucket(Bucket=name, CreateBucketConfiguration=place)
    return Bucket(f"s3://{name}", client)


@pytest.fixture
def closed_port() -> int:
    """Loopback port on which nothing listens."""
    return _free_port()


@pytest.fixture
def storage_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Point this process to object storage on another loopback port."""

    def move(port: int) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        files._s3_client.cache_clear()  # noqa: SLF001  (the client keeps its address)

    yield move
    files._s3_client.cache_clear()  # noqa: SLF001


class Hospital:
    """A lake filled row by row; times are days after the first day of the hospital."""

    OPENED = datetime(2024, 1, 1, tzinfo=UTC)

    def __init__(self, home: Path) -> None:
        self.home = home
        self.lake = Lake(home / "lake")

    def at(self, day: float) -> datetime:
        """Moment of a day."""
        return self.OPENED + timedelta(days=day)

    def admit(self, patient: str, label: str | None, *, created: float = 0, **more: Any) -> None:
        """Cohort row and, unless the label is None, label row of a patient."""
        common = {
            "patient_id": patient,
            "event_timestamp": self.at(more.get("index", 0)),
            "created_timestamp": self.at(created),
            "source_sha256": "x",
            "code_version": "1",
            "run_id": "r",
        }
        cohort = {**common, "exclusion_reason": more.get("exclusion"), "consent": "yes"}
        self.lake.append("cohort", pl.DataFrame([cohort], schema=COHORT_SCHEMA))
        if label is not None:
            row = {**common, "label_name": "who", "label_value": label, "label_version": "1"}
            self.lake.append("labels", pl.DataFrame([row], schema=LABELS_SCHEMA))

    def measure(
        self, contract: Contract, patient: str, *, event: float = 0, created: float = 0, **row: Any
    ) -> None:
        """Row of a feature table; what is not given is null."""
        given = {
            contract.performed_column: True,
            **{name: "x" for name in PROVENANCE_COLUMNS if name != "reference_build"},
            "patient_id": patient,
            "event_timestamp": self.at(event),
            "created_timestamp": self.at(created),
            **row,
        }
        columns = contract.schema()
        rows = pl.DataFrame({name: [given.get(name)] for name in columns}, schema=columns)
        self.lake.append_features(contract, rows)

    def attempt(self, patient: str, modality: str, outcome: Outcome, *, day: float = 0) -> None:
        """Ledger entry of a patient and modality."""
        bad = outcome in (Outcome.QUARANTINED, Outcome.RETRY_LATER)
        entry = Entry(
            patient_id=patient, modality=modality, outcome=outcome,
            error="TruncatedFile" if bad else None, message="ends early" if bad else None,
            file="calls.vcf", source_sha256="x", tool=None, code_version="1", attempts=1,
            first_seen=self.at(day), last_seen=self.at(day), run_id="r",
        )  # fmt: skip
        ledger.append(self.lake, [entry])

    @staticmethod
    def study(**changes: Any) -> Study:
        """Study of the label ``who``, with other values where told."""
        return Study.model_validate(
            {
                "name": "toy",
                "title": "Class of a toy patient",
                "label": {"name": "who", "version": "1", "min_patients_per_class": 2},
                "clocks": {"index": "diagnosis"},
                "features": {"service": "aml_who_class_v1"},
                "modality_sets": {"all": ["fusion", "expression", "clinical"]},
                "recipes": ["lightgbm"],
                "cross_validation": {"folds": 2, "repeats": 1, "seed": 1},
                **changes,
            }
        )


@pytest.fixture(scope="session")
def new_hospital() -> Callable[[Path], Hospital]:
    """Maker of hospitals without patients, each in a home."""
    return Hospital


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    """Hospital without patients."""
    return Hospital(tmp_path / "home")
