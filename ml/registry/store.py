"""Where the registry is: a SQLite file of a home, or an MLflow server.

    settings -> Store -> MLflow's client

MLflow takes seconds to load, which an address does not spend: it is imported when it is asked.
Nothing leaves the machine but to the server that the settings name. Its user and password come
from MLflow's own variables, ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

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

    def client(self) -> "MlflowClient":
        """MLflow's client, to which its global functions then speak too."""
        from ml.registry.tracker import mlflow  # noqa: PLC0415

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
        from ml.registry.tracker import mlflow  # noqa: PLC0415

        if self.database is not None:
            return Path(mlflow.artifacts.download_artifacts(uri, tracking_uri=self.uri))
        folder = self.artifacts / "downloads" / name
        folder.mkdir(parents=True, exist_ok=True)
        return Path(
            mlflow.artifacts.download_artifacts(uri, dst_path=str(folder), tracking_uri=self.uri)
        )
