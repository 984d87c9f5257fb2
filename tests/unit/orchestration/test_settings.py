"""Settings: where each value comes from, and one sentence for a value that cannot be used."""

from pathlib import Path

import pytest
import yaml

from oncoframe.errors import SettingsError
from orchestration.settings import Settings


def test_load__prefers_command_line_to_environment_to_file_to_default(tmp_path, monkeypatch):
    """A value that comes from elsewhere than the user thinks runs on the wrong data."""
    file = tmp_path / "settings.yaml"
    assert Settings.load(home=tmp_path).chunk_patients == 500
    file.write_text("chunk_patients: 3\n")
    assert Settings.load(home=tmp_path).chunk_patients == 3
    monkeypatch.setenv("ONCOFRAME_CHUNK_PATIENTS", "4")
    assert Settings.load(home=tmp_path).chunk_patients == 4
    assert Settings.load(home=tmp_path, chunk_patients=5).chunk_patients == 5
    assert Settings.load(home=tmp_path, chunk_patients=None).chunk_patients == 4


def test_load__reads_the_file_of_the_home_that_the_environment_names(tmp_path, monkeypatch):
    """``dagster dev`` knows its home only from the environment."""
    (tmp_path / "settings.yaml").write_text("landing: s3://bucket/landing\n")
    monkeypatch.setenv("ONCOFRAME_HOME", str(tmp_path))
    settings = Settings.load()
    assert (settings.home, settings.landing) == (tmp_path, "s3://bucket/landing")


def test_load__makes_the_home_absolute(tmp_path, monkeypatch):
    """A worker or a schedule runs in another folder than the command line."""
    assert Settings.load().home == tmp_path / ".oncoframe"
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    assert Settings.load(home="~/here").home == tmp_path / "user" / "here"


def test_load__takes_an_empty_variable_for_none(tmp_path, monkeypatch):
    """``ONCOFRAME_HOME= make demo`` must not write the lake into the repository."""
    for name in ("HOME", "LANDING", "WORKERS", "MRN_KEY"):
        monkeypatch.setenv(f"ONCOFRAME_{name}", "")
    settings = Settings.load()
    assert (settings.home, settings.landing) == (tmp_path / ".oncoframe", None)
    assert settings.mrn_secret() is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("workers: 0", "setting workers: Input should be greater than 0"),
        ("workers: many", "setting workers: Input should be a valid integer"),
        ("retry_wait_s: -1", "setting retry_wait_s"),
        ("wrokers: 2", "setting wrokers: Extra inputs are not permitted"),
        ("workers: [", "settings.yaml: the file is not YAML"),
        ("- workers", "settings.yaml: the file is not YAML"),
    ],
)
def test_load__names_the_setting_that_is_wrong(tmp_path, content, said):
    """A traceback of pydantic or YAML says nothing to an engineer of the laboratory."""
    (tmp_path / "settings.yaml").write_text(content)
    with pytest.raises(SettingsError, match=said) as caught:
        Settings.load(home=tmp_path)
    assert "settings.yaml" in str(caught.value)


def test_load__takes_an_empty_file_for_none(tmp_path):
    """Somebody commented every line out."""
    (tmp_path / "settings.yaml").write_text("# workers: 2\n")
    assert Settings.load(home=tmp_path).workers > 0


def test_settings__never_show_the_key(tmp_path):
    """The key undoes every pseudonym; settings end in logs and in the Dagster UI."""
    settings = Settings.load(home=tmp_path, mrn_key="a secret")
    assert settings.mrn_secret() == b"a secret"
    assert "a secret" not in f"{settings!r}{settings}{settings.model_dump_json()}"


def test_load__never_shows_the_key_in_an_error(tmp_path):
    """A key with a slip in it is still nearly the key."""
    (tmp_path / "settings.yaml").write_text("mrn_key: [a secret]\n")
    with pytest.raises(SettingsError, match="setting mrn_key") as caught:
        Settings.load(home=tmp_path)
    assert "a secret" not in str(caught.value)


def test_settings__of_one_home_lie_in_it(tmp_path):
    """Removing the home must remove everything, and nothing else."""
    settings = Settings.load(home=tmp_path)
    places = [
        settings.lake_dir,
        settings.dagster_dir,
        settings.frames_dir,
        settings.clinical_db,
        settings.mlflow_db,
        settings.mlflow_artifacts,
        settings.audit_log,
    ]
    assert all(place.is_relative_to(tmp_path) for place in places)
    assert len(set(places)) == len(places)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_registry__is_a_file_of_the_home_or_the_server(tmp_path):
    """Training must not need a server, and must not look past one that is named."""
    own = Settings.load(home=tmp_path)
    server = Settings.load(home=tmp_path, mlflow_uri="http://127.0.0.1:5000")

    assert own.registry.database == own.mlflow_db
    assert (server.registry.uri, server.registry.database) == ("http://127.0.0.1:5000", None)


@pytest.mark.parametrize("address", ["http://me:secret@127.0.0.1", "sqlite:///other.db"])
def test_mlflow_uri__is_a_server_without_a_password(tmp_path, address):
    """A password in an address ends up in the audit log, which names the server."""
    with pytest.raises(SettingsError, match="setting mlflow_uri") as caught:
        Settings.load(home=tmp_path, mlflow_uri=address)
    assert "secret" not in str(caught.value)


def test_require_landing__says_how_to_name_one(tmp_path):
    """``oncoframe run`` on a fresh home without --landing."""
    with pytest.raises(SettingsError, match=r"no landing zone is known\. .*--landing DIR"):
        Settings.load(home=tmp_path).require_landing()


def test_remember_landing__is_read_by_the_next_settings(tmp_path):
    """The UI's runs must read the landing zone of the command line, and keep other settings."""
    home = tmp_path / "home"
    Settings.load(home=home, landing="s3://bucket/one").remember_landing()
    (home / "settings.yaml").write_text("landing: s3://bucket/one\nworkers: 3\n")
    Settings.load(home=home, landing="s3://bucket/two").remember_landing()
    again = Settings.load(home=home)
    assert (again.landing, again.workers) == ("s3://bucket/two", 3)


def test_remember_landing__keeps_no_secret(tmp_path, monkeypatch):
    """What the environment holds must not end in a file of the home."""
    monkeypatch.setenv("ONCOFRAME_MRN_KEY", "a secret")
    Settings.load(home=tmp_path, landing="s3://bucket/one").remember_landing()
    assert yaml.safe_load((tmp_path / "settings.yaml").read_text()) == {
        "landing": "s3://bucket/one"
    }


def test_landing__does_not_move_with_the_folder(tmp_path, monkeypatch):
    """``oncoframe run --landing landing``, then ``oncoframe ui`` from somewhere else."""
    Settings.load(home=tmp_path / "home", landing="landing").remember_landing()
    monkeypatch.chdir("/")
    assert Settings.load(home=tmp_path / "home").landing == str(tmp_path / "landing")


def test_retry_tries__bound_the_longest_wait():
    """Issue: 15 s x 1.5, at most 8 tries; more would hold a run for hours."""
    defaults = Settings()
    waits = [defaults.retry_wait_s * defaults.retry_factor**n for n in range(7)]
    assert (defaults.retry_tries, waits[0], waits[1]) == (8, 15.0, 22.5)
    assert isinstance(defaults.home, Path)
