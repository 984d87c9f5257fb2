"""Where Feast's files lie: in a home of OncoFrame, whoever opens the store.

    ${ONCOFRAME_HOME} in feature_store.yaml -> home_of -> registry, online values, lake, audit log

Feast itself puts the variable in; what it leaves as it is was not set. A home may decide on its
online store in a file of its own.
"""

import warnings
from pathlib import Path
from typing import Any

import yaml
from feast.infra.registry.file import FileRegistryStore
from feast.infra.registry.registry import REGISTRY_SCHEMA_VERSION
from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto
from feast.repo_config import RegistryConfig, get_online_config_from_type

from oncoframe.errors import SettingsError

REPOSITORY = Path(__file__).resolve().parent
#: As ``feature_store.yaml`` spells it.
VARIABLE = "${ONCOFRAME_HOME}"
#: File of a home that replaces the online store of the repository.
OVERRIDES = "feature_store.yaml"
_REGISTRY, _ONLINE = "feast_registry.db", "feast_online.db"


class StoreWarning(UserWarning):
    """The feature store answers, but hardly what was meant."""


def home_of(text: str) -> Path:
    """Home that ``feature_store.yaml`` names; ``.oncoframe`` beside this folder if it names none.

    Raises
    ------
    oncoframe.errors.SettingsError
        If the path is relative: Feast's commands change the working folder.
    """
    if text in ("", VARIABLE):
        return REPOSITORY.parent / ".oncoframe"
    home = Path(text)
    if not home.is_absolute():
        raise SettingsError(
            "Feast needs the whole path of a home", where="ONCOFRAME_HOME", got=text,
            hint=f"export ONCOFRAME_HOME=$PWD/{text}",
        )  # fmt: skip
    return home


class HomeRegistryStore(FileRegistryStore):
    """Registry of a home: a file that is there once something was registered.

    Feast writes an empty registry as soon as it opens one, which would turn a misspelt home into
    one that seems to have been made.
    """

    def __init__(self, registry_config: RegistryConfig, repo_path: Path) -> None:
        self.file = home_of(registry_config.path) / _REGISTRY
        super().__init__(registry_config.model_copy(update={"path": str(self.file)}), repo_path)

    def get_registry_proto(self) -> RegistryProto:
        """What is registered; nothing before the first ``apply``."""
        if self.file.exists():
            registry = RegistryProto()
            registry.ParseFromString(self.file.read_bytes())
            return registry
        warnings.warn(
            f"{self.file.parent}: nothing is registered in this home. Fill it: oncoframe run; "
            "or register the views alone: feast -c feature_repo apply.",
            StoreWarning,
            stacklevel=2,
        )
        return RegistryProto(registry_schema_version=REGISTRY_SCHEMA_VERSION)


class HomeOnlineStoreConfig:
    """Configuration of the online store that the home decides on; SQLite in the home unless told.

    Feast calls it like the configuration of any store and then goes by what it gets.
    """

    def __new__(cls, *, type: str, home: str) -> Any:  # noqa: A002 - Feast's name
        """Configuration of the store of a home.

        Raises
        ------
        oncoframe.errors.SettingsError
            If the home's own file is no YAML, or holds something else than ``online_store``.
        """
        del type
        folder = home_of(home)
        section = _override(folder / OVERRIDES)
        section = section or {"type": "sqlite", "path": str(folder / _ONLINE)}
        if section["type"] == "redis":
            # Else a correction, whose event is not newer, would never replace what it corrects.
            section = {"skip_dedup": True, **section}
        return get_online_config_from_type(section["type"])(**section)


def _override(file: Path) -> dict[str, Any]:
    """Section ``online_store`` of a home's own file; empty if there is no file."""
    if not file.is_file():
        return {}
    try:
        sections = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise SettingsError("the file is not YAML", where=str(file)) from error
    if not isinstance(sections, dict) or list(sections) != ["online_store"]:
        raise SettingsError(
            "a home decides on its online store only",
            where=str(file),
            expected="one section, online_store",
        )
    return {"type": "sqlite", **sections["online_store"]}
