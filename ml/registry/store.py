"""Where the registry is: a SQLite file of a home, or an MLflow server.

    settings -> Store -> MLflow's client

Nothing leaves the machine but to the server that the settings name. Its user and password come
from MLflow's own variables, ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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

#: The package takes MLflow from here, where it is imported as it has to be.
__all__ = ["Store", "mlflow"]

_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Store:
    """Address of a registry.

    Parameters
    ----------
    uri
        ``sqlite:///<file>``, or the ``http(s)://`` address of an MLflow server.
    artifacts
        Folder of figures, tables and models; of a server, what was downloaded from it.
    """

    uri: str
    artifacts: Path

    @classmethod
    def of_file(cls, database: Path, artifacts: Path) -> "Store":
        """Store in a SQLite file, made on first use."""
        return cls(f"{_SQLITE}{database.resolve()}", artifacts)

    @property
    def database(self) -> Path | None:
        """SQLite file; None for a server."""
        path = self.uri.removeprefix(_SQLITE)
        return Path(path) if path != self.uri else None

    @property
    def exists(self) -> bool:
        """Whether anything was ever stored here; a server is asked to find out."""
        return self.database is None or self.database.is_file()

    def client(self) -> mlflow.MlflowClient:
        """MLflow's client, to which its global functions then speak too."""
        if self.database is not None:
            self.database.parent.mkdir(parents=True, exist_ok=True)
        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        return mlflow.MlflowClient(self.uri, self.uri)

    def local(self, uri: str, name: str) -> Path:
        """Folder with the files of an artifact address; those of a server are downloaded.

        Parameters
        ----------
        uri
            Of a run, a model or a version.
        name
            Of the folder for downloads.
        """
        if self.database is not None:
            return Path(mlflow.artifacts.download_artifacts(uri, tracking_uri=self.uri))
        folder = self.artifacts / "downloads" / name
        folder.mkdir(parents=True, exist_ok=True)
        return Path(
            mlflow.artifacts.download_artifacts(uri, dst_path=str(folder), tracking_uri=self.uri)
        )


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
