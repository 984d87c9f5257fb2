"""Redis as the online store: the same answers as from SQLite, from a real server."""

import shutil
import socket
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from assets.genomics.fusion.reader import CONTRACT as FUSION
from assets.genomics.snv.reader import CONTRACT as SNV
from feature_repo.client import apply, open_store
from feature_repo.home import OVERRIDES
from feature_repo.online import differing_cells, materialize
from oncoframe.errors import SettingsError, Unavailable

FEATURES = [
    f"{FUSION.table}:fusion_count",
    f"{FUSION.table}:BCR_u3a__u3a_ABL1",
    f"{FUSION.table}:fusion_performed",
    f"{SNV.table}:snv_gene_burden",
]


@pytest.fixture
def redis_server(tmp_path):
    """Address of a Redis server that keeps nothing on disk."""
    pytest.importorskip("redis", reason="Redis needs feast[redis]")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen([program, *options], stdout=subprocess.PIPE, text=True)
    for line in server.stdout:
        if "Ready to accept connections" in line:
            break
    yield f"127.0.0.1:{port}"
    server.terminate()
    server.communicate(timeout=10)


@pytest.fixture
def ward(hospital):
    """Two patients with a corrected fusion result and a vector, a third without any row."""
    hospital.measure(FUSION, "A", fusion_count=1)
    hospital.measure(FUSION, "A", created=3, fusion_count=2, BCR_u3a__u3a_ABL1=True)
    hospital.measure(FUSION, "B", fusion_performed=False)
    hospital.measure(SNV, "A", snv_gene_burden=[1.0, 0.0, 3.0], snv_gene_max_vaf=[0.5] * 3)
    return hospital


def served(ward):
    """Online features of three patients after a materialisation."""
    store = apply(ward.home)
    store.materialize(ward.at(-1), datetime.now(tz=UTC) + timedelta(days=1))
    patients = [{"patient_id": patient} for patient in ("A", "B", "C")]
    return open_store(ward.home).get_online_features(FEATURES, patients).to_dict()


def test_redis__serves_what_sqlite_serves(ward, redis_server):
    """Another store must be another address, not other values."""
    expected = served(ward)
    (ward.home / OVERRIDES).write_text(
        f"online_store:\n  type: redis\n  connection_string: {redis_server}\n"
    )

    got = served(ward)

    assert type(open_store(ward.home).config.online_store).__name__ == "RedisOnlineStoreConfig"
    assert got == expected
    assert got["fusion_count"] == [2, None, None]
    assert got["BCR_u3a__u3a_ABL1"] == [True, None, None]
    assert got["fusion_performed"] == [True, False, None]
    assert got["snv_gene_burden"] == [[1.0, 0.0, 3.0], None, None]


def test_redis__takes_a_correction_whose_event_is_not_newer(ward, redis_server):
    """Feast's store for Redis skips it by default, and serves what was taken back for ever."""
    (ward.home / OVERRIDES).write_text(
        f"online_store:\n  type: redis\n  connection_string: {redis_server}\n"
    )
    store = apply(ward.home)
    materialize(store, ward.at(4))
    ward.measure(FUSION, "A", created=5, fusion_count=7)
    ward.measure(FUSION, "B", created=5, fusion_performed=False, withdrawn=True)

    assert materialize(store, ward.at(6))[FUSION.table] == 2

    assert sum(differing_cells(store, as_of=ward.at(6), patients=10).values()) == 0
    patients = [{"patient_id": patient} for patient in ("A", "B")]
    assert store.get_online_features(FEATURES, patients).to_dict()["fusion_count"] == [7, None]


def test_redis__that_does_not_answer_is_said_in_a_sentence(ward):
    """The last step of a run; its features are in the lake already."""
    pytest.importorskip("redis", reason="Redis needs feast[redis]")
    (ward.home / OVERRIDES).write_text(
        "online_store:\n  type: redis\n  connection_string: 127.0.0.1:9\n"
    )
    store = apply(ward.home)
    with pytest.raises(Unavailable, match=r"redis: the online store does not answer.*next run"):
        materialize(store, ward.at(4))


@pytest.mark.parametrize("text", ["registry: /elsewhere", "online_store: [", "- online_store"])
def test_open_store__refuses_another_override(tmp_path, text):
    """A home that moves its registry would serve the features of another one."""
    (tmp_path / OVERRIDES).write_text(text)

    with pytest.raises(SettingsError, match=r"feature_store\.yaml"):
        open_store(tmp_path)
