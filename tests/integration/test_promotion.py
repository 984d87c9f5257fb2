"""From two trainings to champion, rollback and the checks on both: a home without a server."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from assets.models.verdicts import StoredVerdict, store_verdict
from assets.promotion.candidates import propose
from assets.promotion.gate import alias_problem, promote, review, rollback
from ml.registry import listing
from ml.registry.files import load_version
from ml.registry.listing import LAYOUT, listed_versions
from ml.registry.tracking import log_training
from ml.registry.versions import versions, with_alias
from oncoframe.audit import AuditLog
from oncoframe.errors import AuditError, PromotionError
from oncoframe.lake import Lake
from orchestration.cli.main import app
from orchestration.definitions import build
from orchestration.settings import Settings
from orchestration.studies.champions import place

STUDY = "synthetic_leukemia"


#: Columns of MLflow's tables that hold a place on the disk.
PLACES = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}


@pytest.fixture(scope="module")
def first(tmp_path_factory, toy_trainings) -> Settings:
    """Home with the frames and the first training, which is the challenger."""
    settings = settings_of(tmp_path_factory.mktemp("first"))
    (settings.home / "settings.yaml").write_text("approvers: [dr_lee, dr_kim]\n")
    shutil.copytree(toy_trainings[0].frames_dir, settings.frames_dir)
    train(settings, toy_trainings[0])
    return settings


@pytest.fixture(scope="module")
def second(tmp_path_factory, first, toy_trainings) -> Settings:
    """Home whose second training is champion and whose first one was before."""
    settings = copied(first, tmp_path_factory.mktemp("second"))
    promoted(settings)
    train(settings, toy_trainings[1])
    judged(settings, "beef")
    promoted(settings)
    return settings


@pytest.fixture
def home(tmp_path, first) -> Settings:
    """Copy of the first home."""
    return copied(first, tmp_path / "home")


@pytest.fixture
def twice(tmp_path, second) -> Settings:
    """Copy of the second home."""
    return copied(second, tmp_path / "twice")


def settings_of(folder: Path) -> Settings:
    return Settings(home=folder, approvers=("dr_lee", "dr_kim"))


def copied(settings: Settings, folder: Path) -> Settings:
    """A home in another place, with what MLflow knows of places; training again takes seconds."""
    shutil.copytree(settings.home, folder, dirs_exist_ok=True)
    made = settings_of(folder)
    with closing(sqlite3.connect(made.mlflow_db)) as database, database:
        for table, column in PLACES.items():
            database.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",  # noqa: S608 (our names)
                (str(settings.home), str(made.home)),
            )
    return made


def train(settings: Settings, training) -> None:
    log_training(training.result, store=settings.registry, code_version="0.1.0")
    propose(STUDY, place(settings), lake=Lake(settings.lake_dir), everyone=None, tags={})


def judged(settings: Settings, frame_id: str, *, drifted: bool = False) -> None:
    """Leave a verdict on the patients of today against a frame."""
    verdict = StoredVerdict(
        study=STUDY, reference_frame_id=frame_id, current_frame_id="today", data_version="v",
        judged_at=datetime(2024, 2, 1, tzinfo=UTC), drifted=drifted,
        columns=("age",) if drifted else (), effect=0.0, cause=None, reference_patients=60,
        current_patients=30, modalities={},
    )  # fmt: skip
    store_verdict(settings.drift_dir, verdict)


def promoted(settings: Settings, name: str = "dr_lee"):
    where = place(settings)
    person = where.person(name, "better")
    return promote(review(STUDY, person, where), person, where)


def test_promote__the_second_champion_leaves_the_first_as_previous(twice):
    champion, previous = (
        with_alias(STUDY, name, store=twice.registry) for name in ("champion", "previous")
    )

    assert (champion.name, champion.version, champion.candidate_version) == (STUDY, 2, 2)
    assert (champion.frame_id, previous.frame_id) == ("beef", "f00d")
    assert previous.version == 1
    assert alias_problem(STUDY, place(twice)) is None
    lines = AuditLog(twice.audit_log).entries()
    assert [(line.action, line.details["version"]) for line in lines] == [
        ("promoted", 1), ("promoted", 2),
    ]  # fmt: skip
    assert [c["passed"] for c in lines[1].details["conditions"]] == [True] * 9
    assert lines[1].details["champion_before"] == 1


def test_listed_versions__are_what_mlflow_answers(twice):
    """Canary: a newer MLflow may lay out its tables otherwise; then ``LAYOUT`` is looked after."""
    with closing(sqlite3.connect(twice.mlflow_db)) as tables:
        assert tables.execute("SELECT version_num FROM alembic_version").fetchall() == [(LAYOUT,)]
    client = twice.registry.client()
    for number in ("1", "2"):
        client.set_registered_model_alias(STUDY, f"kept_{number}", "1")
    client.delete_model_version(f"{STUDY}_candidates", "1")

    listed = listed_versions(STUDY, store=twice.registry)

    assert [(version.label, names) for version, names in listed] == [
        (f"{STUDY} 2", ("champion",)),
        (f"{STUDY} 1", ("kept_1", "kept_2", "previous")),
        (f"{STUDY}_candidates 2", ("challenger",)),
    ]
    assert listed == versions(STUDY, store=twice.registry)


@pytest.mark.parametrize("known", [LAYOUT, "of a later MLflow"])
def test_listed_versions__asks_mlflow_about_tables_that_it_does_not_know(home, monkeypatch, known):
    """Reading columns that mean something else now would show wrong models."""
    monkeypatch.setattr(listing, "LAYOUT", known)
    asked = []
    monkeypatch.setattr(
        "ml.registry.versions.versions", lambda *given, **more: asked.append((given, more))
    )

    listed_versions(STUDY, store=home.registry)

    assert len(asked) == (known != LAYOUT)


def test_load_version__answers_like_the_model_that_was_trained(twice, toy_trainings):
    """A copy of a copy must still be the model."""
    champion = with_alias(STUDY, "champion", store=twice.registry)
    trained = toy_trainings[1].result.best

    asked = load_version(champion, store=twice.registry).predict(trained.typical_patient)

    assert asked.equals(trained.served.predict(trained.typical_patient))


def test_review__holds_newcomers_against_both(twice):
    """The second was judged on 90 patients, 30 of whom the first champion had never seen."""
    lines = AuditLog(twice.audit_log).entries()
    metrics = next(c for c in lines[1].details["conditions"] if c["name"] == "metrics")

    assert "Against the champion on 90 patients" in metrics["sentence"]
    assert "Against the class shares on 60" in str(lines[0].details["conditions"])


@pytest.mark.parametrize(
    ("name", "reason", "failed"),
    [("intern", "better", "[approver]"), ("dr_lee", " ", "[reason]")],
)
def test_promote__refuses_and_leaves_a_line(home, name, reason, failed):
    """Refused attempts are what an auditor looks for."""
    where = place(home)
    person = where.person(name, reason)
    with pytest.raises(PromotionError, match="1 condition fails") as refused:
        promote(review(STUDY, person, where), person, where)

    assert failed in str(refused.value)
    assert with_alias(STUDY, "champion", store=home.registry) is None
    [line] = AuditLog(home.audit_log).entries()
    assert line.action == "promotion_refused"
    assert line.details["failed"] == [failed.strip("[]")]


def test_promote__refuses_a_successor_that_nobody_judged_for_drift(home, toy_trainings):
    promoted(home)
    train(home, toy_trainings[1])
    with pytest.raises(PromotionError, match=r"\[drift\] Whether"):
        promoted(home)
    judged(home, "beef", drifted=True)
    with pytest.raises(PromotionError, match=r"\[drift\] Drift in 30 new patients"):
        promoted(home)


def test_promote__refuses_files_that_changed_after_they_were_registered(home):
    """Who may write the candidates' folder could swap the model before it is promoted."""
    folder = _served(home)
    (folder / "served.json").write_text((folder / "served.json").read_text() + " ")

    with pytest.raises(PromotionError, match=r"\[candidate\] The candidate's files are not"):
        promoted(home)


def test_load_version__refuses_files_that_changed_after_the_promotion(home):
    promoted(home)
    champion = with_alias(STUDY, "champion", store=home.registry)
    folder = _served(home)
    (folder / "served.json").write_text((folder / "served.json").read_text() + " ")

    with pytest.raises(PromotionError, match="not those that were registered"):
        load_version(champion, store=home.registry)


def _served(settings: Settings) -> Path:
    [file] = settings.mlflow_artifacts.rglob("data/served/served.json")
    return file.parent


def test_rollback__brings_the_first_back_and_then_the_second(twice):
    """Once more undoes it: somebody who rolled back the wrong study needs it."""
    where = place(twice)
    person = where.person("dr_kim", "wrong on APL")

    now, before = rollback(STUDY, person, where)

    assert (now.version, before.version) == (1, 2)
    assert with_alias(STUDY, "champion", store=twice.registry).version == 1
    assert alias_problem(STUDY, where) is None
    line = AuditLog(twice.audit_log).entries()[-1]
    assert (line.action, line.details["version"]) == ("rolled_back", 1)
    assert rollback(STUDY, person, where)[0].version == 2


def test_rollback__refuses_without_role_reason_or_previous(twice):
    where = place(twice)
    with pytest.raises(PromotionError, match=r"\[approver\].*\[reason\]"):
        rollback(STUDY, where.person("intern", ""), where)

    other = replace(where, store=replace(where.store, uri=f"{where.store.uri}.none"))
    with pytest.raises(PromotionError, match="no previous champion"):
        rollback(STUDY, other.person("dr_lee", "why not"), other)


@pytest.mark.parametrize(
    ("alias", "version", "match"),
    [("champion", "1", "moved by other means"), ("champion", None, "has no champion")],
)
def test_alias_problem__finds_an_alias_moved_by_hand(twice, alias, version, match):
    """MLflow's own interface moves an alias without a word to anybody."""
    client = twice.registry.client()
    if version is None:
        client.delete_registered_model_alias(STUDY, alias)
    else:
        client.set_registered_model_alias(STUDY, alias, version)

    assert match in alias_problem(STUDY, place(twice))


def test_alias_problem__finds_a_champion_that_nobody_promoted(home):
    """A version registered by hand has no line in the log."""
    client = home.registry.client()
    client.create_registered_model(STUDY)
    client.create_model_version(STUDY, f"models:/{STUDY}_candidates/1")
    client.set_registered_model_alias(STUDY, "champion", "1")

    assert "knows no promotion" in alias_problem(STUDY, place(home))


@pytest.mark.parametrize("version", [None, "1"])
def test_promote__refuses_against_a_champion_that_nobody_promoted(twice, version):
    """Without the alias, or on a bad model, it would be held against next to nothing."""
    client = twice.registry.client()
    if version is None:
        client.delete_registered_model_alias(STUDY, "champion")
    else:
        client.set_registered_model_alias(STUDY, "champion", version)
    with pytest.raises(PromotionError, match="a champion that nobody promoted: line 2"):
        promoted(twice)
    assert len(versions(STUDY, store=twice.registry)) == 4, "nothing was released"


def test_promote__refuses_after_another_promotion(home):
    """Two approvers at once: the second would replace a champion it was never held against."""
    where = place(home)
    person = where.person("dr_kim", "mine")
    early = review(STUDY, person, where)
    promoted(home)
    with pytest.raises(PromotionError, match="changed while the candidate was judged"):
        promote(early, person, where)
    assert AuditLog(home.audit_log).entries()[-1].action == "promotion_refused"
    assert with_alias(STUDY, "champion", store=home.registry).version == 1


def test_rollback__refuses_a_previous_version_that_nobody_promoted(twice):
    """An alias moved by hand must not become champion by way of a rollback."""
    client = twice.registry.client()
    made = client.create_model_version(STUDY, f"models:/{STUDY}_candidates/1")
    client.set_registered_model_alias(STUDY, "previous", made.version)
    where = place(twice)

    with pytest.raises(PromotionError, match="never promoted by the gate"):
        rollback(STUDY, where.person("dr_lee", "back"), where)


def test_promote__refuses_on_an_audit_log_that_was_edited(twice):
    """The edited line would otherwise explain whatever is promoted next."""
    text = twice.audit_log.read_text()
    twice.audit_log.write_text(text.replace("dr_lee", "dr_who", 1))

    where = place(twice)
    with pytest.raises(AuditError, match="line 1: the line was changed"):
        rollback(STUDY, where.person("dr_lee", "back"), where)
    with pytest.raises(AuditError, match="line 1"):
        promoted(twice)


def cli(settings: Settings, *words: str, code: int = 0) -> dict:
    """What a command says as JSON."""
    result = CliRunner().invoke(app, [*words, "--home", str(settings.home), "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout.splitlines()[-1])


def test_commands__promote_show_and_roll_back(home, toy_trainings):
    """The whole way as an operator types it; each step is a Dagster run."""
    by = ("--approver", "dr_lee", "--reason", "first [model]")
    first = cli(home, "promote", STUDY, *by)
    assert first["champion"] == f"{STUDY} 1"
    assert [c["name"] for c in first["conditions"] if not c["passed"]] == []

    refused = cli(home, "promote", STUDY, "--approver", "me", "--reason", "", code=1)
    assert refused["error"] == "PromotionError"
    for failed in ("[candidate]", "[drift]", "[approver]", "[reason]"):
        assert failed in refused["message"]

    train(home, toy_trainings[1])
    judged(home, "beef")
    shown = cli(home, "models", STUDY, "--review")
    assert [(v["model"], v["aliases"]) for v in shown["versions"]] == [
        (f"{STUDY} 1", ["champion"]),
        (f"{STUDY}_candidates 2", ["challenger"]),
        (f"{STUDY}_candidates 1", []),
    ]
    assert {c["passed"] for c in shown["conditions"]} == {True}
    cli(home, "promote", STUDY, *by)
    assert cli(home, "rollback", STUDY, *by)["champion"] == f"{STUDY} 1"
    assert cli(home, "rollback", STUDY, *by, "--approver", "me", code=1)["error"]
    told = cli(home, "audit", "show")["entries"]
    assert [line["action"] for line in told] == [
        "promoted", "promotion_refused", "promoted", "rolled_back",
    ]  # fmt: skip
    assert cli(home, "audit", "verify", "--holds", told[0]["sha256"])["lines"] == 4
    people = CliRunner().invoke(app, ["audit", "show", "--home", str(home.home)])
    assert "[model]" in people.output
    home.audit_log.write_text(home.audit_log.read_text().replace("dr_lee", "dr_who", 1))
    assert "line 1: the line was changed" in cli(home, "audit", "verify", code=1)["message"]


def test_commands__of_a_study_without_champions(home):
    said = cli(
        home, "promote", "nsclc_overall_survival", "--approver", "a", "--reason", "b", code=1
    )
    assert "predicts no classes" in said["message"]
    assert cli(home, "models", "aml_who_class")["versions"] == []
    said = cli(home, "promote", "aml_who_class", "--approver", "a", "--reason", "b", code=1)
    assert "has no challenger" in said["message"]
    assert "roles are those of an MLflow server" in cli(home, "roles", "apply", code=1)["message"]


def test_assets__candidate_gate_and_check(home, toy_trainings):
    """In the UI: the candidate with its table, a refusal with all that failed, the check."""
    log_training(toy_trainings[1].result, store=home.registry, code_version="0.1.0")
    definitions = build(home)
    job = definitions.resolve_implicit_global_asset_job_def()
    promotion = dg.AssetKey(["promotion", STUDY])
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

    with dg.instance_for_test() as instance:

        def run(kind: str, **config):
            ops = {f"{kind}__{STUDY}": {"config": config}} if config else {}
            return job.execute_in_process(
                instance=instance, asset_selection=[dg.AssetKey([kind, STUDY])],
                run_config={**quiet, "ops": ops}, raise_on_error=False,
            )  # fmt: skip

        made = run("candidate")
        metadata = made.asset_materializations_for_node(f"candidate__{STUDY}")[0].metadata
        assert metadata["version"].value == f"{STUDY}_candidates 2"
        assert "| all, 90 | macro F1 |".lower() in metadata["challenge"].value.lower()

        refused = run("promotion", approver="intern", reason="because")
        [event] = [e for e in refused.all_events if e.is_step_failure]
        failure = event.step_failure_data.user_failure_data
        assert "[approver] intern does not have the role" in failure.description
        assert "| approver | NO |" in failure.metadata["conditions"].value

        done = run("promotion", approver="dr_lee", reason="because")
        assert done.success
        [check] = done.get_asset_check_evaluations()
        assert (check.asset_key, check.check_name) == (promotion, "alias_moved_only_by_gate")
        assert check.passed
    assert len(versions(STUDY, store=home.registry)) == 3
