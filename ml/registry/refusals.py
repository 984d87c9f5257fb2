"""What an MLflow server refuses, as errors of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from ml.registry.store import mlflow
from oncoframe.errors import PromotionError, Unavailable

_MISSING = "RESOURCE_DOES_NOT_EXIST"
_REFUSED = {"PERMISSION_DENIED": "may not", "UNAUTHENTICATED": "is not signed in and may not"}


def missing(error: mlflow.MlflowException) -> bool:
    """Whether MLflow says that something is not there."""
    return bool(error.error_code == _MISSING)


@contextmanager
def as_refusal(what: str) -> Iterator[None]:
    """Turn a refusal of the MLflow server into one sentence.

    Parameters
    ----------
    what
        What is tried, as the end of "this user may not ...".

    Raises
    ------
    PromotionError
        If the server refuses it to this user.
    Unavailable
        If the server does not answer.
    """
    try:
        yield
    except mlflow.MlflowException as error:
        if error.error_code in _REFUSED:
            raise PromotionError(
                f"this user {_REFUSED[error.error_code]} {what}",
                where="MLflow server",
                hint="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user with the "
                "role for it (oncoframe roles apply gives roles).",
            ) from error
        if "Max retries exceeded" in str(error) or "failed with exception" in str(error):
            raise Unavailable("the MLflow server does not answer", where="mlflow_uri") from error
        raise
