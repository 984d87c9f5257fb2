"""What a modality is: one declaration, from which everything about it is made.

    ModalitySpec -> Dagster asset and group, Feast view and service, fill of gaps, words, colour,
                    help of the command line, files of the simulator

It stands beside the science, in ``modality.py`` of the modality's folder, and is found by
:mod:`oncoframe.modalities`. No field has a default, so that nothing is left out silently.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from oncoframe.contracts import Contract
from oncoframe.extraction import Extractor

#: What a gap in a performed assay most likely is: nothing found, or the least that was seen.
Fill = Literal["zero", "lowest"]

_COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, kw_only=True)
class Files:
    """What the files of a modality are.

    Parameters
    ----------
    words
        For help: formats and tools, such as ``VCF 4.1 to 4.4``.
    is_folder
        Whether the path names a folder. Such folders are often called after patients, so messages
        do not show them.
    """

    words: str
    is_folder: bool


@dataclass(frozen=True, kw_only=True)
class ModalitySpec:
    """One modality.

    Parameters
    ----------
    contract
        Of its feature table; ``contract.modality`` is its name.
    extract
        Reads one file; None where the rows are made from tables of the lake.
    stage
        Folder under ``assets/``; becomes the Dagster group.
    kinds
        Tools and formats of its asset, shown as icons in the Dagster UI.
    words
        As people call it: ``small variants``.
    colour
        In figures, ``#rrggbb`` in lower case; told apart from all others by colour-blind people.
    files
        What is landed for it; None where nothing is.
    fill
        Block -> what a gap in it most likely is in a performed assay, for every block of the
        contract. None: nobody knows, the model's imputer decides.
    simulate
        Module with ``file_of`` and ``write_assay``, see :mod:`assets.simulate.landing_zone`; loaded
        only to simulate. None: a synthetic specimen has no such file.
    inspect
        Module whose ``inspect`` shows a file on the command line, see
        :mod:`orchestration.cli.extract`; None: features and account of the extraction.
    """

    contract: Contract
    extract: Extractor | None
    stage: str
    kinds: frozenset[str]
    words: str
    colour: str
    files: Files | None
    fill: Mapping[str, Fill | None]
    simulate: str | None
    inspect: str | None

    def __post_init__(self) -> None:
        blocks, fills = {block.name for block in self.contract.blocks}, {*self.fill.values()}
        wrong = {
            "words": not self.words,
            "stage": not self.stage.isidentifier(),
            "kinds": not self.kinds,
            "colour": _COLOUR.fullmatch(self.colour) is None,
            "files": (self.files is None) != (self.extract is None),
            "fill": set(self.fill) != blocks or not fills <= {"zero", "lowest", None},
        }
        for field in (name for name, is_wrong in wrong.items() if is_wrong):
            msg = f"{field} of modality {self.name} cannot be {getattr(self, field)!r}"
            raise ValueError(msg)

    @property
    def name(self) -> str:
        """Word of the samplesheet, and name before ``_performed``."""
        return self.contract.modality
