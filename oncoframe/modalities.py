"""The registry: which modalities there are, and where each is declared.

    ours, entry points of installed packages -> MODULES -> spec(name) -> ModalitySpec

A new modality is one folder with a ``modality.py``, and its line here; or a package of somebody
else's, installed beside this one, that names its module in the entry points of the group
``oncoframe.modalities``. Modules are named and not imported, as in Django's ``INSTALLED_APPS``:
kernel and models stay below the stages, and nothing is loaded until somebody asks.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points

from oncoframe.contracts import Contract
from oncoframe.errors import SettingsError
from oncoframe.extraction import Extractor
from oncoframe.modality import ModalitySpec

#: Group of the entry points of packages that bring a modality.
GROUP = "oncoframe.modalities"

_OURS: Mapping[str, str] = {
    "snv": "assets.genomics.snv.modality",
    "sv": "assets.genomics.sv.modality",
    "cnv": "assets.genomics.cnv.modality",
    "fusion": "assets.genomics.fusion.modality",
    "expression": "assets.expression.modality",
    "ct": "assets.imaging.modality",
    "smear": "assets.smears.modality",
    "clinical": "assets.clinical.modality",
    "biomarkers": "assets.biomarkers.modality",
}


def with_installed(ours: Mapping[str, str]) -> dict[str, str]:
    """Name -> module, with those of the packages installed, sorted by name, after ours.

    Raises
    ------
    SettingsError
        If a name is there twice.
    """
    found = dict(ours)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if entry.name in found:
            raise SettingsError(
                f"two packages bring a modality {entry.name}",
                where=entry.dist.name if entry.dist else None,
                expected="another name, or only one of the packages installed",
                got=f"{found[entry.name]} and {entry.module}",
            )
        found[entry.name] = entry.module
    return found


#: Name -> module with its ``MODALITY``, in the order of the data's flow.
MODULES: Mapping[str, str] = with_installed(_OURS)


def spec(name: str) -> ModalitySpec:
    """One modality; no other one is loaded.

    Raises
    ------
    SettingsError
        If there is no such modality, or its module declares another one.
    """
    if name not in MODULES:
        raise SettingsError(f"there is no modality {name}", expected=f"one of {', '.join(MODULES)}")
    found: ModalitySpec = import_module(MODULES[name]).MODALITY
    # The folder of ours is the stage; a package has none in assets/.
    stage = MODULES[name].split(".")[1] if name in _OURS else found.stage
    if (found.name, found.stage) != (name, stage):
        raise SettingsError(
            "a modality has another name or stage than its line in the registry",
            where=MODULES[name],
            expected=f"{name} of stage {stage}",
            got=f"{found.name} of stage {found.stage}",
        )
    return found


def modalities() -> Mapping[str, ModalitySpec]:
    """Name -> modality, of all."""
    return {name: spec(name) for name in MODULES}


def assays() -> Mapping[str, ModalitySpec]:
    """Name -> modality, of those that are read from files."""
    return {name: found for name, found in modalities().items() if found.extract is not None}


def extractor(name: str) -> Extractor:
    """Function that reads one file of a modality.

    Raises
    ------
    SettingsError
        If there is no such modality, or none that is read from files.
    """
    extract = spec(name).extract
    if extract is None:
        raise SettingsError(f"{name} is made from tables", expected=f"one of {', '.join(assays())}")
    return extract


def feature_contracts() -> tuple[Contract, ...]:
    """Contracts of all feature tables, in the order of the data's flow."""
    return tuple(found.contract for found in modalities().values())
