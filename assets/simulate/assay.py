"""How the simulator makes the files of a modality: the hook that its declaration names.

ModalitySpec.simulate -> simulator -> file_of (tool and name), write_assay (the file)
"""

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from assets.simulate.patient import Site, Specimen, SyntheticPatient
from oncoframe.modalities import spec


class Simulator(Protocol):
    """A module that writes the files of one assay; the same seed gives the same bytes."""

    def file_of(self, site: Site) -> tuple[str, str]:
        """Tool of a hospital, and what follows the patient in the name of its file."""
        ...

    def write_assay(
        self, path: Path, seed: int, patient: SyntheticPatient, specimen: Specimen
    ) -> None:
        """Write the file of a specimen, and the folder that it lies in."""
        ...


def simulator(modality: str) -> Simulator:
    """Hook of a modality, loaded now."""
    module = spec(modality).simulate
    if module is None:
        msg = f"{modality} names no simulator"
        raise ValueError(msg)
    return cast("Simulator", import_module(module))
