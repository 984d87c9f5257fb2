"""Roles on an MLflow server with users: who releases models, who proposes them, who is signed in.

    settings.approvers, settings.scientists -> apply_roles -> the server's roles and permissions

Whoever may edit a registered model may move its aliases, and the server cannot tell one alias from
another (mlflow issue 24742). So approvers edit ``<study>``, which is what is asked, and scientists
``<study>_candidates`` and the study's runs; both read everything.
"""

import warnings
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ml.registry.model_version import candidates_name
from ml.registry.store import Store
from ml.registry.tracker import as_refusal, missing, mlflow
from oncoframe.errors import PromotionError

if TYPE_CHECKING:
    from mlflow.server.auth.client import AuthServiceClient

APPROVER, SCIENTIST = "oncoframe_approver", "oncoframe_scientist"
#: The workspace of a server without workspaces.
_WORKSPACE = "default"
_MODEL, _EXPERIMENT = "registered_model", "experiment"


def signed_in(store: Store) -> str | None:
    """User that the MLflow server knows this process as; None where nobody is checked.

    Raises
    ------
    PromotionError
        If the server has users and this is none of them, or the password is wrong.
    """
    if store.database is not None:
        return None
    with as_refusal("do anything"):
        answer = _asked(store, "users/current")
    # None: a server that was started without users.
    return None if answer is None else str(answer["user"]["username"])


def apply_roles(
    studies: Sequence[str], *, approvers: Sequence[str], scientists: Sequence[str], store: Store
) -> Mapping[str, Sequence[str]]:
    """Give each user the role of the settings, and nobody else; only an administrator can.

    Users must exist; registered models and experiments are made where they are not there, so that
    they belong to the administrator and not to whoever comes first.

    Returns
    -------
    Role -> users.

    Raises
    ------
    PromotionError
        If there is no server, the user is no administrator, or a user does not exist.
    """
    if store.database is not None:
        raise PromotionError(
            "roles are those of an MLflow server with users",
            hint="Start one and name it: ONCOFRAME_MLFLOW_URI (docs/promotion.md).",
        )
    client, server = store.client(), _users(store)
    with as_refusal("give roles"):
        _check_users(server, sorted({*approvers, *scientists}))
        experiments = [_owned(client, study) for study in studies]
        _role(server, APPROVER, approvers, {(_MODEL, study) for study in studies})
        proposed = {(_MODEL, candidates_name(study)) for study in studies}
        kept = {(_EXPERIMENT, experiment) for experiment in experiments}
        _role(server, SCIENTIST, scientists, proposed | kept)
        for user in _people(store):
            for study in studies:
                _revoke(server, user, study)
    return {APPROVER: tuple(approvers), SCIENTIST: tuple(scientists)}


def _users(store: Store) -> "AuthServiceClient":
    """Client of the server's users and roles."""
    with warnings.catch_warnings():
        # MLflow keeps this client in its server, which takes seconds to import and warns.
        warnings.simplefilter("ignore")
        from mlflow.server.auth.client import AuthServiceClient  # noqa: PLC0415

    return AuthServiceClient(store.uri)


def _asked(store: Store, what: str) -> Any:
    """Answer of the server to what its client cannot ask; None if it knows no such question."""
    utils: Any = mlflow.utils  # has no types
    rest, endpoint = utils.rest_utils, f"/api/2.0/mlflow/{what}"
    host = utils.credentials.get_default_host_creds(store.uri)
    answer = rest.http_request(host, endpoint, "GET")
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    return rest.verify_rest_response(answer, endpoint).json()


def _people(store: Store) -> list[str]:
    """All users but administrators, who need no permission; also those without a role."""
    answer = _asked(store, "users/list") or {"users": []}
    return [str(user["username"]) for user in answer["users"] if not user["is_admin"]]


def _check_users(server: "AuthServiceClient", users: Sequence[str]) -> None:
    for user in users:
        try:
            server.get_user(user)
        except mlflow.MlflowException as error:
            if not missing(error):
                raise
            raise PromotionError(
                f"the MLflow server has no user {user}",
                hint="Make the user first (docs/promotion.md says how).",
            ) from error


def _owned(client: mlflow.MlflowClient, study: str) -> str:
    """Id of the study's experiment; it and both registered models are made if need be."""
    for name in (study, candidates_name(study)):
        try:
            client.get_registered_model(name)
        except mlflow.MlflowException as error:
            if not missing(error):
                raise
            client.create_registered_model(name)
    found = client.get_experiment_by_name(study)
    return str(found.experiment_id if found else client.create_experiment(study))


def _role(
    server: "AuthServiceClient", name: str, users: Sequence[str], edited: set[tuple[str, str]]
) -> None:
    """A role made anew, so that nobody keeps it who is no longer in the settings."""
    for old in server.list_roles(_WORKSPACE):
        if old.name == name:
            server.delete_role(old.id)
    role = server.create_role(_WORKSPACE, name)
    for kind, resource in sorted(edited):
        server.add_role_permission(role.id, kind, resource, "EDIT")
    for user in users:
        server.assign_role(user, role.id)


def _revoke(server: "AuthServiceClient", user: str, study: str) -> None:
    """Take away what a user has who made the registered model before the administrator did."""
    try:
        server.revoke_user_permission(user, _MODEL, study)
    except mlflow.MlflowException as error:
        if not missing(error):
            raise
