"""Roles on a real MLflow server with users: what a scientist may, and may not, do."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from assets.promotion.candidates import propose
from assets.promotion.gate import alias_problem, promote, review, rollback
from ml.registry.files import load_version
from ml.registry.roles import signed_in
from ml.registry.tracker import mlflow
from ml.registry.tracking import log_training
from ml.registry.trainings import newest_training
from ml.registry.versions import copy_to_champion, with_alias
from oncoframe.audit import AuditLog
from oncoframe.errors import PromotionError
from oncoframe.lake import Lake
from orchestration.releases import give_roles
from orchestration.settings import Settings
from orchestration.studies.champions import place

STUDY = "synthetic_leukemia"
PASSWORD = "a password of {}, long enough"  # noqa: S105 (of users who live for one test)
ADMIN, SCIENTIST, APPROVER = "admin", "sam", "dr_lee"
#: Longest time until the server answers on a busy machine.
PATIENCE_S = 300


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    """Address of ``mlflow server --app-name basic-auth``, with its administrator only."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = READ\n"
        f"database_uri = sqlite:///{folder / 'users.db'}\nadmin_username = {ADMIN}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        # Otherwise every request costs the server a slow hash of the password.
        "auth_cache_ttl_seconds = 60\n"
    )
    environment = {
        **os.environ,
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD.format(ADMIN),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of the tests",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [
        str(Path(sys.executable).parent / "mlflow"), "server", "--app-name", "basic-auth",
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
    try:
        _wait(running, address, folder / "log")
        yield address
    finally:
        # Its workers are processes of its session.
        os.killpg(running.pid, signal.SIGKILL)
        running.wait(timeout=60)


def _wait(running: subprocess.Popen, address: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    transport = httpx.HTTPTransport(retries=3)
    with httpx.Client(transport=transport, timeout=10) as client:
        while time.monotonic() < end and running.poll() is None:
            try:
                if client.get(f"{address}/health").is_success:
                    return
            except httpx.TransportError:
                continue
    pytest.fail(f"the MLflow server did not start: {log.read_text()[-2000:]}")


@contextmanager
def acting_as(user: str) -> Iterator[None]:
    """What follows is done by this user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_USERNAME", user)
        patch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD.format(user))
        yield


@pytest.fixture(scope="module")
def settings(server, tmp_path_factory, toy_trainings) -> Settings:
    """Home on the server, whose administrator made two users and gave them their roles.

    The scientist trained a model and proposed it.
    """
    settings = Settings(
        home=tmp_path_factory.mktemp("home"), mlflow_uri=server, approvers=(APPROVER,),
        scientists=(SCIENTIST,),
    )  # fmt: skip
    shutil.copytree(toy_trainings[0].frames_dir, settings.frames_dir)
    with acting_as(ADMIN):
        for user in (SCIENTIST, APPROVER):
            _add_user(server, user)
        give_roles(settings)
    with acting_as(SCIENTIST):
        _propose(settings, toy_trainings[0])
    return settings


def _add_user(server: str, user: str) -> None:
    made = httpx.post(
        f"{server}/api/2.0/mlflow/users/create",
        auth=(ADMIN, PASSWORD.format(ADMIN)),
        json={"username": user, "password": PASSWORD.format(user)},
        timeout=60,
    )
    assert made.is_success, made.text


def _propose(settings: Settings, training) -> None:
    log_training(training.result, store=settings.registry, code_version="0.1.0")
    propose(STUDY, place(settings), lake=Lake(settings.lake_dir), everyone=None, tags={})


def test_signed_in__is_the_user_of_the_password(settings):
    """A name that anybody can type is no role."""
    for user in (ADMIN, SCIENTIST, APPROVER):
        with acting_as(user):
            assert signed_in(settings.registry) == user
    with acting_as(APPROVER), pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD.format(SCIENTIST))
        with pytest.raises(PromotionError, match="not signed in"):
            signed_in(settings.registry)


def test_scientist__proposes_and_reads_back(settings):
    with acting_as(SCIENTIST):
        candidate = with_alias(STUDY, "challenger", store=settings.registry)
        training = newest_training(STUDY, store=settings.registry)

        assert candidate.name == f"{STUDY}_candidates"
        assert candidate.training_run_id == training.run_id
        assert load_version(candidate, store=settings.registry).classes.tolist() == [
            "AML, NOS", "APL", "t(8;21)",
        ]  # fmt: skip


def test_scientist__cannot_promote_under_any_name(settings):
    """Neither with their own name, nor with the approver's."""
    where = place(settings)
    for name in (SCIENTIST, APPROVER):
        with acting_as(SCIENTIST):
            person = where.person(name, "mine is better")
            found = review(STUDY, person, where)
            assert [condition.name for condition in found.failed] == ["approver"]
            with pytest.raises(PromotionError, match=r"\[approver\]"):
                promote(found, person, where)
    assert AuditLog(settings.audit_log).entries()[-1].actor == SCIENTIST


def test_scientist__cannot_go_round_the_gate(settings):
    """The settings and the gate are on the scientist's machine; the server's refusal is not."""
    with acting_as(SCIENTIST):
        candidate = with_alias(STUDY, "challenger", store=settings.registry)
        with pytest.raises(PromotionError, match="may not release models"):
            copy_to_champion(candidate, store=settings.registry)
        client = settings.registry.client()
        for attempt in (
            lambda: client.create_model_version(STUDY, f"models:/{candidate.name}/1"),
            lambda: client.set_registered_model_alias(STUDY, "champion", "1"),
            lambda: client.delete_registered_model(STUDY),
            lambda: client.rename_registered_model(STUDY, "elsewhere"),
        ):
            with pytest.raises(mlflow.MlflowException) as refused:
                attempt()
            assert refused.value.error_code == "PERMISSION_DENIED"
        with pytest.raises(PromotionError, match="may not give roles"):
            give_roles(settings.model_copy(update={"approvers": (SCIENTIST,)}))


def test_approver__promotes_and_rolls_back(settings, toy_trainings):
    """And an alias that the administrator moves past the gate is found."""
    where = place(settings)
    with acting_as(APPROVER):
        person = where.person(APPROVER, "first")
        first = promote(review(STUDY, person, where), person, where)
        assert (first.name, first.version) == (STUDY, 1)
        assert alias_problem(STUDY, where) is None
    with acting_as(SCIENTIST):
        _propose(settings, toy_trainings[0])
    with acting_as(APPROVER):
        candidate = with_alias(STUDY, "challenger", store=settings.registry)
        second = copy_to_champion(candidate, store=settings.registry)
        assert second.version == 2
        assert "moved by other means" in alias_problem(STUDY, where)
        now, before = rollback(STUDY, person, where)
        assert (now.version, before.version) == (1, 2)
        assert alias_problem(STUDY, where) is None
        assert AuditLog(settings.audit_log).entries()[-1].actor == APPROVER
    with acting_as(ADMIN):
        settings.registry.client().set_registered_model_alias(STUDY, "champion", "2")
        assert "moved by other means" in alias_problem(STUDY, where)
        settings.registry.client().set_registered_model_alias(STUDY, "champion", "1")


def test_scientist__who_changes_files_of_the_champion_is_found(settings):
    """Scientists may write the files of their runs, which the champion is made of."""
    with acting_as(SCIENTIST):
        training = newest_training(STUDY, store=settings.registry)
        client = settings.registry.client()
        [model] = client.search_logged_models(
            [client.get_run(training.run_id).info.experiment_id],
            f"source_run_id = '{training.best.run_id}'",
        )
        parts = model.artifact_location.removeprefix("mlflow-artifacts:/")
        put = httpx.put(
            f"{settings.mlflow_uri}/api/2.0/mlflow-artifacts/artifacts/{parts}/data/served/"
            "served.json",
            content=b"{}",
            auth=(SCIENTIST, PASSWORD.format(SCIENTIST)),
            timeout=60,
        )
        assert put.is_success, put.text
    with acting_as(APPROVER):
        candidate = with_alias(STUDY, "challenger", store=settings.registry)
        with pytest.raises(PromotionError, match="not those that were registered"):
            load_version(candidate, store=settings.registry)


def test_give_roles__takes_the_model_from_whoever_made_it(settings):
    """Who trains before the roles are given owns the model, and could release what they like."""
    client, name = settings.registry.client(), "aml_who_class"
    with acting_as(ADMIN):
        _add_user(settings.mlflow_uri, "eve")
        client.delete_registered_model(name)
    with acting_as("eve"):
        client.create_registered_model(name)
        client.set_registered_model_tag(name, "mine", "yes")
    with acting_as(ADMIN):
        give_roles(settings)
    with acting_as("eve"), pytest.raises(mlflow.MlflowException) as refused:
        client.set_registered_model_tag(name, "mine", "still")
    assert refused.value.error_code == "PERMISSION_DENIED"


def test_give_roles__takes_a_role_away_again(settings):
    """Who leaves the list of approvers must not keep the permission."""
    client = settings.registry.client()
    with acting_as(APPROVER):
        client.set_registered_model_tag(STUDY, "looked_at", "yes")
    with acting_as(ADMIN):
        give_roles(settings.model_copy(update={"approvers": ()}))
    with acting_as(APPROVER), pytest.raises(mlflow.MlflowException) as refused:
        client.set_registered_model_tag(STUDY, "looked_at", "still")
    assert refused.value.error_code == "PERMISSION_DENIED"
    with acting_as(ADMIN):
        give_roles(settings)
