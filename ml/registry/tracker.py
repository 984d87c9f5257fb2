"""MLflow, imported as it has to be, and its refusals in a sentence of ours."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from oncoframe.errors import PromotionError, Unavailable

# Read by MLflow when it is imported.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# Bars of downloads and addresses of runs would stand between what the command line prints.
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"

with warnings.catch_warnings():
    # On import MLflow warns about type hints of its own.
    warnings.simplefilter("ignore", UserWarning)
    import mlflow
    import mlflow.pyfunc
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]  # made at import

#: The package takes MLflow from here.
__all__ = ["LocalArtifactDatasetSource", "MetaDataset", "as_refusal", "missing", "mlflow"]

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
